/** What a run has taken and has yet to take, on the page's clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { timed, timesOf } from '../../web/lib/runs/run_times.js'

const RUN = Object.freeze({
  id: 'a', state: 'running', part: 1, step: 1, total: 101, elapsed: 50, seconds_per_step: 1
})
const at = (step, elapsed, change = {}) => ({ ...RUN, step, elapsed, ...change })
const left = (run) => timesOf(run, run.told).left

test('samples and checkpoints count', () => {
  // 90 steps in 290 s of wall time, and ten more of 1 s: 300 s / 100 = 3 s a step; 10 are left.
  const first = timed(null, RUN, 0)
  assert.equal(left(first), 100)
  assert.equal(left(timed(first, at(91, 340), 9)), 30)
})

test('the preparation and the first step do not count', () => {
  const preparing = timed(null, at(0, 40, { state: 'preparing' }), 0)
  const begun = timed(preparing, at(0, 45, { doing: 'first' }), 1)
  assert.equal(left(begun), 101)
  const first = timed(begun, at(1, 80), 2)
  assert.equal(left(timed(first, at(11, 90), 3)), 90)
})

test('a page that is opened in the middle takes the pace from the first step on', () => {
  // The training began 30 s after its node did: 60 steps in 590 s, and ten of 1 s: 600 / 70.
  const run = timed(null, at(60, 620, { trained_from: { step: 0, elapsed: 30 } }), 0)
  assert.ok(Math.abs(left(run) - (41 * 600) / 70) < 1e-9)
})

test('a resumed part goes from the step that it went on from', () => {
  // Steps 30 to 50 in 80 s, and ten of 1 s: 90 / 30 a step, of which 51 are left.
  const run = timed(null, at(50, 200, { part: 2, trained_from: { step: 30, elapsed: 120 } }), 0)
  assert.equal(left(run), (51 * 90) / 30)
})

test('another part has a pace of its own', () => {
  const first = timed(timed(null, RUN, 0), at(91, 500), 1)
  assert.equal(left(timed(first, at(51, 900, { part: 2, trained_from: { step: 50, elapsed: 890 } }), 2)), 50)
})

test('a long sample takes from what is left, as told by a poll in the middle of it', () => {
  // 10 steps in 10 s and ten of 1 s; 90 are left: 90 s, of which 40 pass without another step.
  const run = timed(timed(null, RUN, 0), at(11, 60), 10)
  assert.equal(timesOf(run, 10).left, 90)
  const polled = timed(run, at(11, 90), 40)
  assert.equal(timesOf(polled, 50).left, 50)
})

test('both times go on between two messages, while the run does', () => {
  const run = timed(null, RUN, 100)
  assert.deepEqual(timesOf(run, 103), { elapsed: 53, left: 97 })
  assert.deepEqual(timesOf(run, 400), { elapsed: 350, left: 0 })
  assert.deepEqual(timesOf(timed(null, at(1, 50, { state: 'paused' }), 100), 103), { elapsed: 50, left: null })
  assert.deepEqual(timesOf(timed(null, at(0, null, { state: 'preparing' }), 100), 103), { elapsed: null, left: null })
})

test('nothing is left to say where no step is done', () => {
  assert.equal(left(timed(null, at(0, 5, { seconds_per_step: null }), 0)), null)
})
