/** Joining, smoothing and looking up points. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { appended, bounded, joined, nearest, newestStep, smoothed } from '../../web/lib/runs/points.js'

const line = (count, value = (step) => step) =>
  Array.from({ length: count }, (_, i) => [i + 1, value(i + 1)])

test('a bucket has the mean of all values, weighed by counts, and their extremes', () => {
  // 3 values of mean 2 and one of 6: (3·2 + 6) / 4 = 3.
  assert.deepEqual(joined([[3, 2, 1, 4, 3], [4, 6]]), [4, 3, 1, 6, 4])
})

test('one point is its own bucket', () => {
  assert.deepEqual(joined([[7, 0.5]]), [7, 0.5])
})

test('few points stay as they are', () => {
  const points = line(10)
  assert.equal(bounded(points, 10), points)
})

test('many points become half as many buckets; no value and no peak is lost', () => {
  const points = line(1000, (step) => (step === 777 ? 99 : 1))
  const buckets = bounded(points, 100)
  assert.equal(buckets.length, 50)
  assert.equal(buckets.reduce((sum, bucket) => sum + bucket[4], 0), 1000)
  assert.equal(Math.max(...buckets.map((bucket) => bucket[3])), 99)
  assert.equal(buckets.at(-1)[0], 1000)
})

test('joining again and again keeps the mean', () => {
  let points = []
  for (const point of line(5000)) points = bounded([...points, point], 64)
  const count = points.reduce((sum, p) => sum + (p[4] ?? 1), 0)
  const mean = points.reduce((sum, p) => sum + p[1] * (p[4] ?? 1), 0) / count
  assert.equal(count, 5000)
  assert.ok(Math.abs(mean - 2500.5) < 1e-6)
})

test('only later points are appended', () => {
  assert.deepEqual(appended([[1, 1], [2, 2]], [[2, 9], [3, 3]]), [[1, 1], [2, 2], [3, 3]])
})

test('nothing new gives the same array, so that nothing is drawn again', () => {
  const points = line(3)
  assert.equal(appended(points, [[2, 5]]), points)
})

test('the average of 1 then 3 at decay 0.5 is (0.5·1 + 3) / 1.5', () => {
  assert.deepEqual(smoothed([[1, 1], [2, 3]], 0.5), [1, 3.5 / 1.5])
})

test('a constant is its own average from the first step on', () => {
  for (const value of smoothed(line(50, () => 0.25), 0.98)) assert.ok(Math.abs(value - 0.25) < 1e-12)
})

test('a bucket of three equal values smooths like the three', () => {
  const apart = smoothed([[1, 4], [2, 1], [3, 1], [4, 1]], 0.9)
  const together = smoothed([[1, 4], [4, 1, 1, 1, 3]], 0.9)
  assert.ok(Math.abs(apart[3] - together[1]) < 1e-12)
})

test('decay 0 is no smoothing', () => {
  assert.deepEqual(smoothed([[1, 5], [2, 7]], 0), [5, 7])
})

test('the nearest point, the earlier one if two are as near', () => {
  const points = [[10, 0], [20, 0], [40, 0]]
  const found = [0, 14, 15, 16, 30, 31, 99].map((step) => nearest(points, step))
  assert.deepEqual(found, [0, 0, 0, 1, 1, 2, 2])
  assert.equal(nearest([], 5), -1)
})

test('the newest step is that of the longest curve', () => {
  assert.equal(newestStep({ a: [[3, 0]], b: [[1, 0], [9, 0]], c: [] }), 9)
  assert.equal(newestStep({}), 0)
})

test('100,000 steps become few enough to draw', () => {
  const buckets = bounded(line(100_000, Math.sqrt))
  assert.ok(buckets.length <= 1200)
  assert.equal(smoothed(buckets, 0.98).length, buckets.length)
})
