/**
 * Which nodes play a trained adapter in the graph, and how they hang together: by socket types, so
 * that it holds whatever the sockets are called.
 *
 * @typedef {{name: string, type: string, link?: number | null, links?: number[] | null}} Slot
 * @typedef {{inputs?: Slot[], outputs?: Slot[]}} Slotted
 */

const PROMPT = 'prompt'
const ADAPTER = 'MOTION_ADAPTER'
const BASE = 'MOTION_BASE'

/**
 * The nodes, by id, from left to right, the sockets that join each to one before it, the widget that
 * takes the run's prompt, and the least height of one that comes to show something.
 */
export const CHAIN = [
  { id: 'LoadMotionAdapter', joins: [] },
  {
    id: 'SampleMotionVideo',
    joins: [{ type: ADAPTER, from: 'LoadMotionAdapter' }],
    prompt: PROMPT
  },
  { id: 'SaveVideo', joins: [{ type: 'VIDEO', from: 'SampleMotionVideo' }], height: 360 }
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

/** A frame reaches so far beyond its nodes, and above their titles for its own. */
export const MARGIN = 24
const HEADING = 36

/**
 * The frame around nodes, with room for their titles and its own.
 *
 * @param {Box[]} nodes
 * @returns {{pos: [number, number], size: [number, number]}}
 */
export function frameOf(nodes) {
  const left = Math.min(...nodes.map(({ pos }) => pos[0])) - MARGIN
  const top = Math.min(...nodes.map(({ pos }) => pos[1])) - TITLE - HEADING
  const right = Math.max(...nodes.map(({ pos, size }) => pos[0] + size[0])) + MARGIN
  const bottom = Math.max(...nodes.map(({ pos, size }) => pos[1] + size[1])) + MARGIN
  return { pos: [left, top], size: [right - left, bottom - top] }
}

/**
 * Whether two of them cover each other.
 *
 * @param {Box} one
 * @param {Box} other
 */
export const meet = (one, other) =>
  [0, 1].every(
    (axis) =>
      one.pos[axis] < other.pos[axis] + other.size[axis] &&
      other.pos[axis] < one.pos[axis] + one.size[axis]
  )

/** @param {Box} box */
const rightOf = ({ pos, size }) => pos[0] + size[0]

/**
 * Tells of a box whether it is a frame around another.
 *
 * @param {Box} box
 * @returns {(other: Box) => boolean}
 */
const holding = (box) => (other) =>
  [0, 1].every(
    (axis) =>
      other.pos[axis] < box.pos[axis] &&
      box.pos[axis] + box.size[axis] < other.pos[axis] + other.size[axis]
  )

/**
 * Where a framed row of nodes goes to the right of another and of the frames around that one: x and
 * y of each. Where its own frame would cover what lies in the graph, it goes below that.
 *
 * @param {Box} train the node that they follow
 * @param {[number, number][]} sizes of the new nodes
 * @param {Box[]} others nodes and frames in the graph
 * @param {number} [gap]
 * @returns {[number, number][]}
 */
export function freeRow(train, sizes, others, gap = 40) {
  const left = Math.max(...[train, ...others.filter(holding(train))].map(rightOf)) + gap
  const width = sizes.reduce((sum, [wide]) => sum + wide + gap, -gap) + 2 * MARGIN
  const height = Math.max(...sizes.map(([, high]) => high)) + MARGIN
  const across = others.filter((other) => other.pos[0] < left + width && rightOf(other) > left)
  across.sort((a, b) => a.pos[1] - b.pos[1])
  let top = train.pos[1]
  for (const { pos, size } of across) {
    const [above, below] = [pos[1] - TITLE, pos[1] + size[1]]
    const over = TITLE + HEADING
    if (above < top + height && below > top - over) top = below + gap + over
  }
  let x = left + MARGIN
  return sizes.map(([wide]) => {
    const place = /** @type {[number, number]} */ ([x, top])
    x += wide + gap
    return place
  })
}
