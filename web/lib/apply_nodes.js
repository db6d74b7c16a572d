/**
 * Which nodes play a trained adapter in the graph, and how they hang together: by socket types, so
 * that it holds whatever the sockets are called.
 *
 * @typedef {{name: string, type: string, link?: number | null, links?: number[] | null}} Slot
 * @typedef {{inputs?: Slot[], outputs?: Slot[]}} Slotted
 */

const ADAPTER = 'MOTION_ADAPTER'
const BASE = 'MOTION_BASE'

/** The nodes, by id, from left to right, and the sockets that join each to one before it. */
export const CHAIN = [
  { id: 'LoadMotionAdapter', joins: [] },
  { id: 'SampleMotionVideo', joins: [{ type: ADAPTER, from: 'LoadMotionAdapter' }] },
  { id: 'PreviewImage', joins: [{ type: 'IMAGE', from: 'SampleMotionVideo' }] }
]

export const BASE_TYPE = BASE

/**
 * Index of the first slot of this type, -1 if there is none.
 *
 * @param {Slot[] | undefined} slots
 * @param {string} type
 */
export const slotOf = (slots, type) => (slots ?? []).findIndex((slot) => slot.type === type)

/**
 * Where a row of nodes goes to the right of another: x and y of each.
 *
 * @param {[number, number]} position of the node that they follow
 * @param {[number, number]} size
 * @param {number[]} widths of the new nodes
 * @param {number} [gap]
 * @returns {[number, number][]}
 */
export function placesRightOf(position, size, widths, gap = 40) {
  let x = position[0] + size[0] + gap
  return widths.map((width) => {
    const place = /** @type {[number, number]} */ ([x, position[1]])
    x += width + gap
    return place
  })
}
