/**
 * Puts nodes into a graph that load a trained adapter and play it on the base that it was trained
 * on.
 *
 * @typedef {(id: string) => any} CreateNode ComfyUI's; null for a node that is not installed
 * @typedef {[string, Record<string, string>]} Problem a text's key and values
 */
import { BASE_TYPE, CHAIN, freeRow, slotOf } from './apply_nodes.js'

/**
 * Adds the nodes of CHAIN to the right of the node that trained, where nothing lies.
 *
 * @param {any} train
 * @param {string} adapter its name in the loader's list
 * @param {CreateNode} create
 * @returns {Problem | null} why nothing is added
 */
export function addApplyNodes(train, adapter, create) {
  const made = CHAIN.map(({ id }) => create(id))
  const missing = CHAIN.filter((_, index) => !made[index]).map(({ id }) => id)
  if (missing.length) return ['panel.noNodes', { names: missing.join(', ') }]
  if (!setAdapter(made[0], adapter)) return ['panel.notListed', { name: adapter }]
  const places = freeRow(train, made.map((node) => node.size), train.graph.nodes)
  made.forEach((node, index) => {
    node.pos = places[index]
    train.graph.add(node)
  })
  joinNodes(made, train)
  return null
}

/**
 * @param {any[]} made the nodes of CHAIN
 * @param {any} train
 */
function joinNodes(made, train) {
  CHAIN.forEach(({ joins }, index) => {
    for (const { type, from } of joins) {
      const source = made[CHAIN.findIndex(({ id }) => id === from)]
      source.connect(slotOf(source.outputs, type), made[index], slotOf(made[index].inputs, type))
    }
    joinBase(made[index], train)
  })
}

/**
 * To what the training gets its base from: a node or, in a subgraph, one of the subgraph's inputs.
 *
 * @param {any} node
 * @param {any} train
 */
function joinBase(node, train) {
  const { graph } = train
  const [into, own] = [slotOf(node.inputs, BASE_TYPE), slotOf(train.inputs, BASE_TYPE)]
  const link = own < 0 ? null : graph.getLink?.(train.inputs[own].link)
  if (into < 0 || !link) return
  if (graph.inputNode && link.origin_id === graph.inputNode.id) {
    graph.inputs[link.origin_slot].connect(node.inputs[into], node)
  } else {
    graph.getNodeById(link.origin_id)?.connect(link.origin_slot, node, into)
  }
}

/**
 * Whether one of the loader's lists has the name; it is chosen there.
 *
 * @param {any} loader
 * @param {string} name
 */
function setAdapter(loader, name) {
  const widget = (loader.widgets ?? []).find((/** @type {any} */ each) => {
    const values = each.options?.values
    const known = typeof values === 'function' ? values(each, loader) : values
    return Array.isArray(known) && known.includes(name)
  })
  if (!widget) return false
  widget.value = name
  widget.callback?.(name)
  return true
}
