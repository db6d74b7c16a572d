/** Figures as text. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { bytes, clock, figure, flattened, moment, NONE, whole } from '../../web/lib/text/format.js'
import { memory, statRows } from '../../web/lib/panel/stats.js'

test('times', () => {
  assert.deepEqual([0, 59.6, 125, 3600].map(clock), ['0:00', '1:00', '2:05', '1:00:00'])
  assert.deepEqual([null, undefined, NaN, Infinity].map(clock), [NONE, NONE, NONE, NONE])
})

test('three digits, and powers of ten where they are shorter', () => {
  const values = [0, 0.012345, 12.345, 123456, 0.0001, 5e-4, -0.5]
  assert.deepEqual(values.map(figure), ['0', '0.0123', '12.3', '1.23e5', '1e-4', '5e-4', '-0.5'])
  assert.equal(figure(null), NONE)
})

test('bytes', () => {
  const values = [500, 2048, 3.25 * 2 ** 30, 139 * 2 ** 30]
  assert.deepEqual(values.map(bytes), ['500 B', '2.0 KiB', '3.3 GiB', '139 GiB'])
  assert.deepEqual([0, null, undefined].map(bytes), [NONE, NONE, NONE])
})

test('whole numbers in the way of the language', () => {
  assert.equal(whole(12345, 'en'), '12,345')
  assert.equal(whole(undefined), NONE)
})

test('a moment in the way of the language', () => {
  assert.match(moment(0, 'en', 'UTC'), /Jan 1, 1970/)
  assert.match(moment(0, 'zh', 'UTC'), /1970年1月1日/)
})

test('moments and numbers of one language share their formatters', () => {
  const { DateTimeFormat, NumberFormat } = Intl
  let made = 0
  const counted = (Format) => function (...args) {
    made += 1
    return new Format(...args)
  }
  Object.assign(Intl, { DateTimeFormat: counted(DateTimeFormat), NumberFormat: counted(NumberFormat) })
  try {
    for (let i = 0; i < 500; i += 1) [moment(i, 'de'), whole(12345 + i, 'de')]
  } finally {
    Object.assign(Intl, { DateTimeFormat, NumberFormat })
  }
  assert.equal(made, 2)
})

test('settings become a flat list', () => {
  const settings = { training: { steps: 5, learning_rate: null }, clips: { 0: 'abc' }, sites: [1, 2] }
  assert.deepEqual(flattened(settings), [
    ['training.steps', '5'],
    ['training.learning_rate', NONE],
    ['clips.0', 'abc'],
    ['sites', '1, 2']
  ])
})

test('memory is now, peak and total', () => {
  const run = { memory: 2 ** 30, memory_peak: 2 ** 31, memory_total: 2 ** 34 }
  assert.equal(memory(run), '1.0 GiB / 2.0 GiB / 16.0 GiB')
  assert.equal(memory({}), NONE)
})

test('every loss term has a row of its own', () => {
  const run = { losses: { spatial: 0.5, temporal: 0.25 }, learning_rate: 5e-4, grad_norm: 1, skipped: 0 }
  const rows = statRows((key) => key, 'en', run)
  assert.deepEqual(rows.slice(0, 3), [
    ['spatial', '0.5'],
    ['temporal', '0.25'],
    ['stats.learningRate', '5e-4']
  ])
})
