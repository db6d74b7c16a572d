/**
 * Puts nodes into a graph that load a trained adapter, play it on the base that it was trained on
 * and save the video.
 *
 * @typedef {{node: (id: string) => any, group: (title: string) => any}} Create ComfyUI's; a node
 *   that is not installed is null
 * @typedef {[string, Record<string, string>]} Problem a text's key and values
 */
import { BASE_TYPE, CHAIN, frameOf, freeRow, meet, slotOf } from './apply_nodes.js'

const COLOUR = '#3f5940' // as the groups of the shipped workflows that play a motion
const FITS = 8
const FIT_MS = 250

/**
 * Adds the nodes of CHAIN in a frame to the right of the node that trained, where nothing lies.
 *
 * @param {any} train
 * @param {{adapter: string, prompt: string, title: string}} run adapter: its name in the loader's
 *   list. prompt: "" for the node's own. title: of the frame
 * @param {Create} create
 * @returns {Problem | null} why nothing is added
 */
export function addApplyNodes(train, { adapter, prompt, title }, create) {
  const made = CHAIN.map(({ id }) => create.node(id))
  const missing = CHAIN.filter((_, index) => !made[index]).map(({ id }) => id)
  if (missing.length) return ['panel.noNodes', { names: missing.join(', ') }]
  if (!setAdapter(made[0], adapter)) return ['panel.notListed', { name: adapter }]
  if (prompt) made.forEach((node, index) => setWidget(node, CHAIN[index].prompt, prompt))
  made.forEach((node, index) => {
    node.setSize?.([node.size[0], Math.max(node.size[1], CHAIN[index].height ?? 0)])
  })
  const { graph } = train
  const lies = [...graph.nodes, ...(graph.groups ?? [])]
  const place = () => {
    const places = freeRow(train, made.map((node) => node.size), lies)
    made.forEach((node, index) => (node.pos = places[index]))
  }
  const group = Object.assign(create.group(title), { color: COLOUR })
  place()
  graph.add(group)
  made.forEach((node) => graph.add(node))
  keepFramed(group, made, { lies, place })
  joinNodes(made, train)
  return null
}

/**
 * Vue nodes have their height only once they are drawn, which takes a busy page a while: these, and
 * those of a frame above that is as new.
 *
 * @param {any} group
 * @param {any[]} nodes
 * @param {{lies: any[], place: () => void}} around what lay in the graph before; place: puts the
 *   nodes where none of it is
 * @param {number} [times]
 */
function keepFramed(group, nodes, around, times = FITS) {
  if (around.lies.some((one) => meet(one, frameOf(nodes)))) around.place()
  Object.assign(group, frameOf(nodes))
  if (times > 0) setTimeout(() => keepFramed(group, nodes, around, times - 1), FIT_MS)
}

/**
 * @param {any} node
 * @param {string | undefined} name of its widget; undefined for none
 * @param {string} value
 */
function setWidget(node, name, value) {
  const widget = (node.widgets ?? []).find((/** @type {any} */ each) => each.name === name)
  if (widget) widget.value = value
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
