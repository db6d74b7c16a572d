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

/** @typedef {{pos: ArrayLike<number>, size: ArrayLike<number>}} Box */

/** A node's title stands above its position. */
const TITLE = 30

/**
 * Where a row of nodes goes to the right of another: x and y of each. Where it would cover other
 * nodes, it goes below them.
 *
 * @param {Box} train the node that they follow
 * @param {[number, number][]} sizes of the new nodes
 * @param {Box[]} others what lies in the graph
 * @param {number} [gap]
 * @returns {[number, number][]}
 */
export function freeRow(train, sizes, others, gap = 40) {
  const left = train.pos[0] + train.size[0] + gap
  const width = sizes.reduce((sum, [wide]) => sum + wide + gap, -gap)
  const height = Math.max(...sizes.map(([, high]) => high))
  const across = others.filter(({ pos, size }) => pos[0] < left + width && pos[0] + size[0] > left)
  across.sort((a, b) => a.pos[1] - b.pos[1])
  let top = train.pos[1]
  for (const { pos, size } of across) {
    const [above, below] = [pos[1] - TITLE, pos[1] + size[1]]
    if (above < top + height && below > top - TITLE) top = below + gap + TITLE
  }
  let x = left
  return sizes.map(([wide]) => {
    const place = /** @type {[number, number]} */ ([x, top])
    x += wide + gap
    return place
  })
}
