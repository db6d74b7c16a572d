/** Answers, messages, and what the page has to ask for after them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { stateKey, withAnswer, withMessage } from '../../web/lib/runs/run_state.js'

const RUN = Object.freeze({
  id: 'a',
  state: 'running',
  step: 2,
  total: 10,
  part: 1,
  since: 0,
  curves: { loss: [[1, 0.5], [2, 0.4]] },
  samples: [],
  checkpoints: [],
  resumes: [],
  saved_as: [],
  seconds_per_step: 2
})
const COUNTS = { samples: 0, checkpoints: 0, resumes: 0 }
const message = (change) => ({ id: 'a', state: 'running', part: 1, counts: COUNTS, ...change })

test('the first answer is the state', () => {
  assert.equal(withAnswer(null, RUN), RUN)
})

test('a later answer adds its points', () => {
  const answer = { ...RUN, step: 3, since: 2, curves: { loss: [[3, 0.3]] } }
  const run = withAnswer(RUN, answer)
  assert.deepEqual(run.curves.loss, [[1, 0.5], [2, 0.4], [3, 0.3]])
  assert.equal(run.step, 3)
  assert.equal(RUN.curves.loss.length, 2)
})

test('a new curve may come with a later answer', () => {
  const answer = { ...RUN, since: 2, curves: { spatial: [[3, 1]] } }
  assert.deepEqual(Object.keys(withAnswer(RUN, answer).curves), ['loss', 'spatial'])
})

test('an answer of another part of the run replaces the state', () => {
  const answer = { ...RUN, part: 2, since: 2, curves: { loss: [] } }
  assert.equal(withAnswer(RUN, answer), answer)
})

test('a message that joins on needs nothing more', () => {
  const { run, missing } = withMessage(RUN, message({ step: 3, since: 2, points: { loss: [[3, 1]] } }))
  assert.equal(missing, '')
  assert.deepEqual(run.curves.loss.at(-1), [3, 1])
  assert.equal(run.step, 3)
})

test('a message that overlaps adds only what is new', () => {
  const points = { loss: [[1, 9], [2, 9], [3, 0.3]] }
  const { run, missing } = withMessage(RUN, message({ step: 3, since: 0, points }))
  assert.equal(missing, '')
  assert.deepEqual(run.curves.loss, [[1, 0.5], [2, 0.4], [3, 0.3]])
})

test('a gap is asked for, and the figures are shown at once', () => {
  const { run, missing } = withMessage(RUN, message({ step: 9, since: 7, points: { loss: [[8, 1], [9, 1]] } }))
  assert.equal(missing, 'since')
  assert.equal(run.step, 9)
  assert.equal(run.curves.loss.length, 2)
})

test('a message without room for points makes the page ask', () => {
  assert.equal(withMessage(RUN, message({ step: 3 })).missing, 'since')
})

test('a message that changes only figures asks for nothing', () => {
  assert.equal(withMessage(RUN, message({ step: 2, asked: ['stop'] })).missing, '')
})

test('a sample that the page has not is asked for', () => {
  const counts = { ...COUNTS, samples: 1 }
  assert.equal(withMessage(RUN, message({ step: 2, counts })).missing, 'since')
})

test('the end is asked for, as it decides what can be done next', () => {
  assert.equal(withMessage(RUN, message({ step: 2, state: 'finished' })).missing, 'since')
})

test('another part, or fewer steps, needs everything again', () => {
  assert.equal(withMessage(RUN, message({ part: 2, step: 5 })).missing, 'all')
  assert.equal(withMessage(RUN, message({ step: 1 })).missing, 'all')
})

test('a finished run that did not do all its steps was stopped', () => {
  assert.equal(stateKey({ state: 'finished', step: 3, total: 10 }), 'stopped')
  assert.equal(stateKey({ state: 'finished', step: 10, total: 10 }), 'finished')
  assert.equal(stateKey({ state: 'failed', step: 3, total: 10 }), 'failed')
})
