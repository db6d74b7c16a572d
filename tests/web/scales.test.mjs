/** Places, domains, ticks and paths. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  linePath,
  lossDomain,
  marksPath,
  place,
  rawPath,
  stepDomain,
  stepTicks,
  ticks,
  valueAt
} from '../../web/lib/chart/scales.js'

const LINEAR = { domain: [0, 10], range: [100, 200], log: false }
const LOG = { domain: [0.01, 1], range: [100, 0], log: true }

test('linear: a quarter of the domain lies at a quarter of the range', () => {
  assert.equal(place(LINEAR, 2.5), 125)
})

test('log: 0.1 lies in the middle of 0.01 and 1', () => {
  assert.ok(Math.abs(place(LOG, 0.1) - 50) < 1e-9)
})

test('log: zero and less lie at the low end, not at infinity', () => {
  assert.equal(place(LOG, 0), 100)
  assert.equal(place(LOG, -1), 100)
})

test('valueAt is the inverse of place', () => {
  for (const scale of [LINEAR, LOG]) {
    for (const value of [0.02, 0.3, 0.9]) {
      assert.ok(Math.abs(valueAt(scale, place(scale, value)) - value) < 1e-9)
    }
  }
})

test('the steps that are done, or all of them', () => {
  const curves = [[[1, 0], [40, 0]], [[5, 0], [60, 0]]]
  assert.deepEqual(stepDomain(curves, 100, false), [1, 60])
  assert.deepEqual(stepDomain(curves, 100, true), [0, 100])
})

test('no step and one step give a domain too', () => {
  assert.deepEqual(stepDomain([], 0, false), [0, 1])
  assert.deepEqual(stepDomain([[[7, 1]]], 0, false), [6, 7])
})

test('a fixed loss axis begins at 0 and holds the highest value', () => {
  const [low, high] = lossDomain([[[1, 0.2], [2, 1, 0.1, 5, 3]]], true, false)
  assert.equal(low, 0)
  assert.ok(high >= 5)
})

test('one spike among 300 values does not flatten the rest', () => {
  const points = Array.from({ length: 300 }, (_, i) => [i + 1, i === 100 ? 1000 : 1 + (i % 10) / 10])
  assert.ok(lossDomain([points], false, false)[1] < 3)
})

test('a log domain is positive whatever the values', () => {
  for (const values of [[0, 0.5], [0], [], [0.3, 0.3]]) {
    const points = values.map((value, i) => [i + 1, value])
    for (const fixed of [true, false]) {
      const [low, high] = lossDomain([points], fixed, true)
      assert.ok(low > 0 && high > low)
    }
  }
})

test('equal values still get a height', () => {
  for (const value of [0, 2]) {
    const [low, high] = lossDomain([[[1, value], [2, value]]], false, false)
    assert.ok(low < value && value < high)
  }
})

test('ticks are round and inside', () => {
  assert.deepEqual(ticks({ domain: [0, 1], range: [0, 1], log: false }, 5), [0, 0.2, 0.4, 0.6, 0.8, 1])
  assert.deepEqual(ticks({ domain: [13, 47], range: [0, 1], log: false }, 4), [20, 30, 40])
})

test('log ticks are powers of ten, with more between where there is room', () => {
  assert.deepEqual(ticks(LOG, 4), [0.01, 0.1, 1])
  assert.deepEqual(ticks(LOG, 10), [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1])
})

test('steps have whole ticks', () => {
  assert.deepEqual(stepTicks({ domain: [0, 2], range: [0, 1], log: false }, 8), [0, 1, 2])
})

test('a line goes through its points', () => {
  const y = { domain: [0, 1], range: [100, 0], log: false }
  assert.equal(linePath([[0, 9], [10, 9]], [0, 1], LINEAR, y), 'M100 100L200 0')
  assert.equal(linePath([], [], LINEAR, y), '')
})

test('a bucket is drawn from its lowest to its highest value', () => {
  const y = { domain: [0, 1], range: [100, 0], log: false }
  assert.equal(rawPath([[0, 0.5], [10, 0.5, 0, 1, 4]], LINEAR, y), 'M100 50L200 100L200 0')
})

test('marks are one path, and those of one pixel one mark', () => {
  assert.equal(marksPath([0, 5, 10], LINEAR, 90, 80), 'M100 90V80M150 90V80M200 90V80')
  assert.equal(marksPath([5, 5.01, 5.02], LINEAR, 90, 80), 'M150 90V80')
})
