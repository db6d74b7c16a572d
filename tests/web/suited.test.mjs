/** What is filled on a node, and what a person has touched. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { agreed, leftToTheBase, others } from '../../web/lib/suited/filled.js'
import { apply, begin, configured, differing, keptOf } from '../../web/lib/suited/suited_node.js'

const node = (values) => ({
  properties: {},
  widgets: Object.entries(values).map(([name, value]) => ({ name, value, options: { min: 1 } }))
})
const held = ({ widgets }) => Object.fromEntries(widgets.map(({ name, value }) => [name, value]))
const answer = (values, then = null) => ({ values, to: { base: 'b' }, becomes: {}, then })

test('what nobody has touched is filled, again and again', () => {
  const one = node({ steps: 150, seed: 3 })
  begin(one)
  assert.equal(apply(one, answer({ steps: 300 })), true)
  assert.deepEqual(held(one), { steps: 300, seed: 3 })
  apply(one, answer({ steps: 350 }))
  assert.deepEqual(held(one), { steps: 350, seed: 3 })
  assert.equal(apply(one, answer({ steps: 350 })), false)
})

test('what a person has touched stays, until the suited values are asked for', () => {
  const one = node({ steps: 150, rate: 1 })
  begin(one)
  apply(one, answer({ steps: 300, rate: 2 }))
  one.widgets[0].value = 7
  apply(one, answer({ steps: 350, rate: 3 }))
  assert.deepEqual(held(one), { steps: 7, rate: 3 })
  assert.equal(differing(one, answer({ steps: 350, rate: 3 })), 1)
  apply(one, answer({ steps: 350, rate: 3 }), true)
  assert.deepEqual(held(one), { steps: 350, rate: 3 })
  apply(one, answer({ steps: 9, rate: 3 }))
  assert.equal(held(one).steps, 9)
})

test('another method brings widgets that nobody has touched', () => {
  const one = node({ objective: 'a', 'objective.beta': 1 })
  begin(one)
  one.widgets[0].value = 'b'
  one.widgets[1].value = 5 // the other method's default
  apply(one, answer({ 'objective.beta': 0.01 }))
  assert.equal(held(one)['objective.beta'], 0.01)
})

test('a saved node keeps what was touched', () => {
  const one = node({ steps: 150 })
  begin(one)
  const saved = { properties: structuredClone(one.properties) }
  one.widgets[0].value = 7
  assert.equal(configured(one, saved), false)
  apply(one, answer({ steps: 300 }))
  assert.equal(held(one).steps, 7)
})

test('a node of version 0.1.0 shows what ran then, and keeps it', () => {
  const one = node({ steps: 0, beta: 5, exactly: true })
  begin(one)
  assert.equal(configured(one, {}), true)
  assert.equal(held(one).exactly, false)
  apply(one, answer({ steps: 400, beta: 5 }, { steps: 300, beta: 0.01 }))
  assert.deepEqual(held(one), { steps: 300, beta: 0.01, exactly: true })
  assert.equal(keptOf(one).ofThen, true)
  apply(one, answer({ steps: 400, beta: 5 }))
  assert.deepEqual(held(one), { steps: 300, beta: 0.01, exactly: true })
  apply(one, answer({ steps: 400, beta: 5 }), true)
  assert.deepEqual(held(one), { steps: 400, beta: 5, exactly: true })
  assert.equal(keptOf(one).ofThen, false)
})

test('zeros that no node can hold now were left to the base', () => {
  const widgets = [
    { name: 'steps', value: 0, options: { min: 1 } },
    { name: 'prior', value: 0, options: { min: 0 } },
    { name: 'frames', value: 16, options: { min: 1 } }
  ]
  assert.deepEqual(leftToTheBase(widgets), { steps: 0 })
  const one = { properties: {}, widgets }
  configured(one, {})
  apply(one, answer({ steps: 30, prior: 0.5, frames: 24 }))
  assert.deepEqual(held(one), { steps: 30, prior: 0, frames: 16 })
})

test('zeros that ran otherwise then are filled so, the others with what suits', () => {
  const one = node({ steps: 0, frames: 0 })
  configured(one, {})
  assert.equal(apply(one, answer({ steps: 25, frames: 16 }, { steps: 30 })), true)
  assert.deepEqual(held(one), { steps: 30, frames: 0 })
  apply(one, answer({ steps: 25, frames: 16 }))
  assert.deepEqual(held(one), { steps: 30, frames: 16 })
  apply(one, answer({ steps: 25, frames: 12 }))
  assert.deepEqual(held(one), { steps: 30, frames: 12 })
  assert.equal(keptOf(one).ofThen, true)
})

test('of two nodes with the same settings the one that changed wins', () => {
  const before = { rank: 32, beta: 1 }
  assert.deepEqual(agreed({ rank: 32, beta: 1 }, { rank: 16, beta: 1 }, before), { rank: 16 })
  assert.deepEqual(agreed({ rank: 8, beta: 1 }, { rank: 32 }, before), { rank: 8 })
  assert.deepEqual(agreed({ rank: 8 }, { rank: 16 }, before), { rank: 8 })
})

test('what differs from what suits is named', () => {
  const widgets = [{ name: 'a', value: 1 }, { name: 'b', value: 2 }, { name: 'c', value: 3 }]
  assert.deepEqual(others(widgets, { a: 1, b: 3 }), ['b'])
})
