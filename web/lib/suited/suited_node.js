/**
 * A node whose widgets are filled with what suits it: what is kept of it with the workflow, and what
 * an answer of the server changes on it.
 *
 * @typedef {import('./filled.js').Answer} Answer
 * @typedef {import('./filled.js').Filled} Filled
 * @typedef {import('./filled.js').Widget & {label?: string}} Widget
 * @typedef {{widgets?: Widget[], properties: Record<string, any>, title?: string}} GraphNode
 * @typedef {{values: Filled, agreed?: Filled, menu?: any, ofThen?: boolean}} Kept `values`: what
 *   was filled. `agreed`: what it and its settings node held when they were last the same. `menu`:
 *   the method that its widgets are of. `ofThen`: it shows what ran in version 0.1.0.
 */
import { asTheyStand, leftToTheBase, others, toFill, touched, withMenu } from './filled.js'

export const MENU = 'objective'
export const MARK = 'exactly'
const KEY = 'motion_adapters_suited'

/**
 * @param {GraphNode} node
 * @returns {Kept}
 */
export const keptOf = (node) => node.properties[KEY]

/** As it is made: nobody has touched it. @param {GraphNode} node */
export function begin(node) {
  node.properties[KEY] = { values: asTheyStand(node.widgets ?? []), menu: valueOf(node, MENU) }
}

/**
 * After a workflow has set its widgets. What another version, or another program, has written was
 * touched, but for the zeros that version 0.1.0 wrote for what it left to the base.
 *
 * @param {GraphNode} node
 * @param {{properties?: Record<string, any>}} saved
 * @returns {boolean} whether it is of version 0.1.0
 */
export function configured(node, saved) {
  if (saved.properties?.[KEY]) return false
  node.properties[KEY] = { values: leftToTheBase(node.widgets ?? []), menu: valueOf(node, MENU) }
  const mark = node.widgets?.find(({ name }) => name === MARK)
  if (mark) mark.value = false
  return true
}

/**
 * Sets what suits, or what ran then, on the widgets that it is for.
 *
 * @param {GraphNode} node
 * @param {Answer} answer
 * @param {boolean} isAsked whether all suited values are to be brought back
 * @returns {boolean} whether anything changed
 */
export function apply(node, answer, isAsked = false) {
  const kept = keptOf(node)
  const widgets = node.widgets ?? []
  if (kept.menu !== valueOf(node, MENU)) {
    kept.values = withMenu(kept.values, widgets, MENU)
    kept.menu = valueOf(node, MENU)
  }
  const isOfThen = answer.then !== null && answer.then !== undefined
  const known = isAsked || isOfThen ? asTheyStand(widgets) : kept.values
  const changes = toFill(widgets, known, isOfThen && !isAsked ? answer.then ?? {} : answer.values)
  for (const [widget, value] of changes) widget.value = value
  const mark = widgets.find(({ name }) => name === MARK)
  if (mark) mark.value = true
  if (isOfThen) kept.ofThen = true
  if (isAsked) kept.ofThen = false
  if (isAsked) kept.values = { ...kept.values, ...answer.values }
  else if (!isOfThen) for (const [{ name }, value] of changes) kept.values[name] = value
  return changes.length > 0
}

/**
 * The widgets that a person has set, by name. Those of another method than before are not.
 *
 * @param {GraphNode} node
 */
export function touchedOf(node) {
  const kept = keptOf(node)
  const isKnown = kept.menu === valueOf(node, MENU)
  const widgets = node.widgets ?? []
  return touched(widgets, isKnown ? kept.values : withMenu(kept.values, widgets, MENU))
}

/**
 * How many widgets hold something else than what suits.
 *
 * @param {GraphNode} node
 * @param {Answer} answer
 */
export const differing = (node, answer) => others(node.widgets ?? [], answer.values).length

/**
 * @param {GraphNode} node
 * @param {string} name
 */
export const valueOf = (node, name) => node.widgets?.find((widget) => widget.name === name)?.value
