/**
 * Puts nodes into a graph that load a trained adapter and play it on the base that it was trained
 * on.
 *
 * @typedef {(id: string) => any} CreateNode ComfyUI's; null for a node that is not installed
 */
import { BASE_TYPE, CHAIN, placesRightOf, slotOf } from './apply_nodes.js'

/**
 * Adds the nodes of CHAIN to the right of the node that trained.
 *
 * @param {any} train
 * @param {string} adapter its name in the loader's list
 * @param {CreateNode} create
 * @returns {string[]} the nodes that are missing; if there are any, nothing is added
 */
export function addApplyNodes(train, adapter, create) {
  const made = CHAIN.map(({ id }) => create(id))
  const missing = CHAIN.filter((_, index) => !made[index]).map(({ id }) => id)
  if (missing.length) return missing
  const places = placesRightOf(train.pos, train.size, made.map((node) => node.size[0]))
  made.forEach((node, index) => {
    node.pos = places[index]
    train.graph.add(node)
  })
  joinNodes(made, train)
  setAdapter(made[0], adapter)
  return []
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
    const into = slotOf(made[index].inputs, BASE_TYPE)
    const own = slotOf(train.inputs, BASE_TYPE)
    const link = own < 0 ? null : train.graph.getLink?.(train.inputs[own].link)
    if (into < 0 || !link) return
    train.graph.getNodeById(link.origin_id)?.connect(link.origin_slot, made[index], into)
  })
}

/**
 * @param {any} loader
 * @param {string} name
 */
function setAdapter(loader, name) {
  for (const widget of loader.widgets ?? []) {
    const values = widget.options?.values
    const known = typeof values === 'function' ? values(widget, loader) : values
    if (Array.isArray(known) && known.includes(name)) {
      widget.value = name
      widget.callback?.(name)
    }
  }
}
