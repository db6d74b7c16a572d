/**
 * Which widgets of a node nobody has touched: those that still hold what they were filled with.
 *
 * @typedef {{name: string, value: any, options?: {min?: number}}} Widget
 * @typedef {Record<string, any>} Filled what was put into a node's widgets, by input
 * @typedef {{values: Filled, to: Record<string, any>, becomes: Record<string, string>,
 *   then: Filled | null}} Answer of the server, for a node
 */

/**
 * What stands on a new node, which nobody has touched.
 *
 * @param {Widget[]} widgets
 * @returns {Filled}
 */
export const asTheyStand = (widgets) =>
  Object.fromEntries(widgets.map((widget) => [widget.name, widget.value]))

/**
 * Numbers that no node can hold now: version 0.1.0 wrote 0 for what it left to the base.
 *
 * @param {Widget[]} widgets
 * @returns {Filled}
 */
export const leftToTheBase = (widgets) =>
  asTheyStand(widgets.filter(({ value, options }) => typeof value === 'number' && value < (options?.min ?? value)))

/**
 * A method's own widgets come with it, and hold its defaults.
 *
 * @param {Filled} filled
 * @param {Widget[]} widgets
 * @param {string} menu the name of the menu of methods
 * @returns {Filled}
 */
export function withMenu(filled, widgets, menu) {
  const own = widgets.filter(({ name }) => name === menu || name.startsWith(`${menu}.`))
  return { ...filled, ...asTheyStand(own) }
}

/**
 * @param {Filled} filled
 * @param {Widget} widget
 */
const isUntouched = (filled, { name, value }) => Object.hasOwn(filled, name) && filled[name] === value

/**
 * The names of those that hold something else than they were filled with.
 *
 * @param {Widget[]} widgets
 * @param {Filled} filled
 * @returns {string[]}
 */
export const touched = (widgets, filled) =>
  widgets.filter((widget) => !isUntouched(filled, widget)).map(({ name }) => name)

/**
 * The widgets to fill, with their values.
 *
 * @template {Widget} W
 * @param {W[]} widgets
 * @param {Filled} filled
 * @param {Filled} values
 * @returns {[W, any][]}
 */
export const toFill = (widgets, filled, values) =>
  widgets
    .filter((widget) => others([widget], values).length > 0 && isUntouched(filled, widget))
    .map((widget) => [widget, values[widget.name]])

/**
 * The names of widgets that hold something else than what suits.
 *
 * @param {Widget[]} widgets
 * @param {Filled} values
 * @returns {string[]}
 */
export const others = (widgets, values) =>
  widgets.filter(({ name, value }) => Object.hasOwn(values, name) && values[name] !== value).map(({ name }) => name)

/**
 * What two nodes that have the same settings should hold: the one that has changed since they were
 * last the same wins, and `first` where both have.
 *
 * @param {Filled} first
 * @param {Filled} second
 * @param {Filled} before
 * @returns {Filled} of what differs, by name
 */
export function agreed(first, second, before) {
  const differing = Object.keys(first).filter(
    (name) => Object.hasOwn(second, name) && first[name] !== second[name]
  )
  return Object.fromEntries(
    differing.map((name) => [name, first[name] === before[name] ? second[name] : first[name]])
  )
}
