/** What waits for a run to show, from the press of Run on; and lists of runs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isListed, runNames } from '../../web/lib/runs/run_list.js'
import { RunStore } from '../../web/lib/runs/store.js'
import { WaitingPrompts } from '../../web/lib/runs/waiting.js'

/** A server whose queue is changed by hand. */
function server(...waiting) {
  return { answer: { waiting, libraries: true }, asked: 0, async waiting() {
    this.asked += 1
    return this.answer
  } }
}

const entry = (change = {}) => ({
  prompt_id: 'p', client_id: 'me', workflow_id: 'w', is_running: false, nodes: ['5'], runs: [], ...change
})
const phase = (waiting, run = null, others = []) => waiting.ofNode(['5'], 'w', run, others)?.phase ?? ''

test('from the press to the run it never goes back', async () => {
  const queue = server()
  const waiting = new WaitingPrompts(queue)
  const seen = [phase(waiting)]
  queue.answer = { waiting: [entry()], libraries: false }
  const pressed = waiting.pressed()
  seen.push(phase(waiting))
  await pressed
  seen.push(phase(waiting))
  queue.answer = { waiting: [entry({ is_running: true })], libraries: false }
  await waiting.refresh()
  seen.push(phase(waiting))
  queue.answer.libraries = true
  await waiting.refresh()
  seen.push(phase(waiting))
  // The run is in the list, its history is still asked for; then it is shown.
  seen.push(phase(waiting, null, []))
  seen.push(phase(waiting, { prompt_id: 'p', state: 'preparing' }))
  assert.deepEqual(seen, ['', 'queued', 'queued', 'libraries', 'starting', 'starting', ''])
})

test('a run of an earlier prompt does not hide that the next one starts', async () => {
  const waiting = new WaitingPrompts(server(entry({ is_running: true })))
  await waiting.refresh()
  assert.equal(phase(waiting, { prompt_id: 'before', state: 'finished' }), 'starting')
})

test("a script's prompt, another graph's and another node's are not the node's", async () => {
  const others = [entry({ workflow_id: '' }), entry({ workflow_id: 'x' }), entry({ nodes: ['6'] })]
  const waiting = new WaitingPrompts(server(...others))
  await waiting.refresh()
  assert.equal(phase(waiting), '')
  assert.equal(waiting.ofNode(['5'], '', null, []), null)
})

test('a node that waits for another one of its prompt is queued', async () => {
  const waiting = new WaitingPrompts(server(entry({ is_running: true, nodes: ['5', '6'] })))
  await waiting.refresh()
  const other = { prompt_id: 'p', state: 'running' }
  assert.equal(phase(waiting, null, [other]), 'queued')
  assert.equal(phase(waiting, null, [{ ...other, state: 'finished' }]), 'starting')
})

test('a node whose result is known is not waited for', async () => {
  const waiting = new WaitingPrompts(server(entry({ is_running: true })))
  await waiting.refresh()
  waiting.skip('p', ['1', '5'])
  assert.equal(phase(waiting), '')
})

test('a cancelled prompt says so until it is over', async () => {
  const queue = server(entry({ is_running: true }))
  const waiting = new WaitingPrompts(queue)
  await waiting.refresh()
  waiting.cancel(null) // as ComfyUI's own button does: whatever runs
  assert.equal(phase(waiting), 'cancelling')
  const run = { prompt_id: 'p', state: 'running' }
  assert.equal(waiting.isCancelling(run), true)
  assert.equal(waiting.isCancelling({ ...run, state: 'cancelled' }), false)
  assert.equal(waiting.isCancelling({ ...run, prompt_id: 'q' }), false)
  waiting.uncancel('p')
  assert.equal(waiting.isCancelling(run), false)
})

test('what waits to go on with a run is found by the run', async () => {
  const waiting = new WaitingPrompts(server(entry({ runs: ['zigzag-1'] })))
  await waiting.refresh()
  const run = { id: 'zigzag-1', prompt_id: 'before', state: 'cancelled' }
  assert.deepEqual(waiting.ofRun(run, []), { phase: 'queued', promptId: 'p' })
  assert.equal(waiting.ofRun({ ...run, id: 'zigzag-2' }, []), null)
})

test('who asks while the queue is read gets a newer answer', async () => {
  const queue = server()
  const waiting = new WaitingPrompts(queue)
  const first = waiting.refresh()
  queue.answer = { waiting: [entry()], libraries: true }
  await Promise.all([first, waiting.refresh()])
  assert.equal(phase(waiting), 'queued')
  assert.equal(queue.asked, 2)
})

const run = (id, change = {}) => ({
  id, title: 'motion', began: 60, state: 'finished', step: 9, total: 9, saved_as: [], ...change
})

test('runs of one title have their beginning behind it, and their id if that is the same', () => {
  const runs = [run('a'), run('b'), run('c', { began: 120 }), run('d', { title: 'zigzag' }), run('e', { title: '' })]
  const names = runNames(runs, (seconds) => `${seconds / 60} min`)
  assert.deepEqual([...names.values()], ['motion · 1 min · a', 'motion · 1 min · b', 'motion · 2 min', 'zigzag', 'e'])
})

test('a list is searched by name, id and file, and filtered by what became of the runs', () => {
  const zigzag = run('zigzag-1f', { title: 'Zigzag', saved_as: ['turn.safetensors'] })
  assert.deepEqual(['', 'zig', 'ZIG turn', '1f', 'zig car'].map((text) => isListed(zigzag, text, 'all')), [
    true, true, true, true, false
  ])
  const shows = (change) => ['all', 'active', 'unfinished', 'finished'].filter((show) => isListed(run('a', change), '', show))
  assert.deepEqual(shows({}), ['all', 'finished'])
  assert.deepEqual(shows({ step: 4 }), ['all', 'finished']) // stopped and kept
  assert.deepEqual(shows({ state: 'saving' }), ['all', 'active'])
  for (const state of ['cancelled', 'paused', 'failed', 'interrupted']) assert.deepEqual(shows({ state }), ['all', 'unfinished'])
})

/** A server with one run, which can be taken away and be unreachable. */
class Folder {
  runs = async () => {
    if (this.isDown) throw new Error('Failed to fetch')
    return { runs: this.isGone ? [] : [this.summary()] }
  }

  summary = () => ({ ...run('a', { state: this.state ?? 'running', step: 3, latest: 1 }), part: 1, asked: [] })

  run = async (id, since) => ({
    ...this.summary(), since, elapsed: 5, curves: { t: [[1, 1], [2, 2], [3, 3]] }, samples: [], checkpoints: [],
    resumes: [], can_resume: true
  })
}

test('a run whose folder is deleted keeps its curve on the page, and says so', async () => {
  const folder = new Folder()
  const store = new RunStore(folder)
  await store.refresh()
  await store.open('a')
  folder.isGone = true
  await store.refresh()
  const kept = store.history('a')
  assert.deepEqual([kept.isGone, kept.state, kept.can_resume], [true, 'interrupted', false])
  assert.equal(kept.curves.t.length, 3)
  assert.equal(store.list()[0].isGone, true)
  folder.isGone = false
  await store.refresh()
  assert.deepEqual([store.history('a').isGone, store.list()[0].isGone], [undefined, undefined])
  folder.isGone = true
  await store.refresh()
  store.forget('a')
  assert.deepEqual(store.list(), [])
})

test('the time stands still while the server cannot be reached', async () => {
  let now = 10
  const folder = new Folder()
  const store = new RunStore(folder, () => now)
  await store.refresh()
  assert.equal(store.clock(), 10)
  folder.isDown = true
  now = 12
  await store.refresh()
  now = 20
  await store.refresh()
  assert.equal(store.clock(), 12)
  folder.isDown = false
  await store.refresh()
  assert.equal(store.clock(), 20)
})
