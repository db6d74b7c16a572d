/** Templates: their index beside ComfyUI's, and how one is shown when it is opened first. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { firstView, takeMark } from '../../web/lib/graph/first_view.js'
import { withIndex, withoutPack } from '../../web/lib/graph/template_index.js'

test("the pack's index joins ComfyUI's, and its files are listed no more", () => {
  const core = [{ moduleName: 'default', title: 'Basics', templates: [] }]
  const own = [{ title: 'Motion Adapters', templates: [{ name: 'a' }] }]
  assert.deepEqual(withIndex(core, own, 'my pack'), [
    ...core,
    { moduleName: 'my pack', title: 'Motion Adapters', templates: [{ name: 'a' }] }
  ])
  assert.deepEqual(withoutPack({ 'my pack': ['a'], other: ['b'] }, 'my pack'), { other: ['b'] })
})

test('a shipped workflow is marked until it is opened, in what is no change', () => {
  const graph = { extra: { ds: { scale: 0.8, offset: [0, 0], first: true } } }
  assert.equal(takeMark(graph), true)
  assert.deepEqual(graph, { extra: { ds: { scale: 0.8, offset: [0, 0] } } })
  assert.equal(takeMark(graph), false)
  assert.equal(takeMark({ extra: {} }), false)
  assert.equal(takeMark(null), false)
})

const node = (x, y, width, height) => ({ pos: [x, y], size: [width, height] })

test('a graph that fits is shown whole, and not enlarged', () => {
  const view = firstView([node(10, 20, 100, 100), node(400, 300, 100, 100)], { width: 1000, height: 900 })
  assert.deepEqual(view, { scale: 1, offset: [80, 90] })
})

test('of a graph that is too large to be read, its beginning is shown', () => {
  // All 4000 pixels in 870 would be a scale of 0.2; at 0.8 its corner is at 90, 110 in the window.
  const view = firstView([node(0, 0, 300, 200), node(3700, 0, 300, 900)], { width: 1000, height: 700 })
  assert.equal(view.scale, 0.8)
  assert.deepEqual(view.offset, [112.5, 137.5])
})

test('between the two it is as large as it fits', () => {
  const view = firstView([node(0, 0, 1000, 100)], { width: 1030, height: 900 })
  assert.equal(view.scale, 0.9)
})
