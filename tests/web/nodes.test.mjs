/** Runs and nodes: subgraphs, copies, what is queued again, where new nodes go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CHAIN, frameOf, freeRow, meet, slotOf } from '../../web/lib/graph/apply_nodes.js'
import { movedIndex, staysInPanel } from '../../web/lib/page/keyboard.js'
import { announcement } from '../../web/lib/panel/announcement.js'
import { locatorId, saidHeight, saidIn } from '../../web/lib/graph/node_texts.js'
import { placedNodes, runOfNode } from '../../web/lib/graph/node_ids.js'
import { hasGraph, promptToResume, shownPrompt } from '../../web/lib/graph/prompts.js'
import { sampleShown } from '../../web/lib/panel/sample_choice.js'
import { marksNear, readings } from '../../web/lib/chart/chart_values.js'
import { reasonOf } from '../../web/lib/runs/error_text.js'

const inner = { nodes: [{ id: 3 }] }
const middle = { nodes: [{ id: 8, subgraph: inner }] }
const root = { nodes: [{ id: 1 }, { id: 12, subgraph: inner }, { id: 20, subgraph: middle }] }

test('a node of the graph itself has its own id', () => {
  assert.deepEqual(placedNodes(root).get(root.nodes[0]), ['1'])
})

test('a node in a subgraph has an id for every way to it', () => {
  assert.deepEqual(placedNodes(root).get(inner.nodes[0]), ['12:3', '20:8:3'])
})

test('a node of a graph that is not shown has no place', () => {
  assert.equal(placedNodes(root).has({ id: 3 }), false)
  assert.equal(placedNodes(undefined).size, 0)
})

const run = (id, node_id, change = {}) => ({
  id, node_id, workflow_id: 'w', latest: 0, state: 'finished', ...change
})

test('a copied node has no run of its own yet', () => {
  assert.equal(runOfNode([run('a', '1')], ['2'], 'w'), null)
})

test('equal node ids of two graphs are kept apart', () => {
  const runs = [run('a', '1', { workflow_id: 'other' }), run('b', '1')]
  assert.equal(runOfNode(runs, ['1'], 'w').id, 'b')
})

test("a run from a script is no graph's, a graph without an id has its own", () => {
  const runs = [run('a', '1', { workflow_id: 'script' }), run('b', '2', { workflow_id: '' })]
  assert.equal(runOfNode(runs, ['1', '2'], 'w'), null)
  assert.equal(runOfNode(runs, ['1', '2'], '').id, 'b')
})

test('a run that goes on comes before the last one', () => {
  const runs = [run('new', '1', { latest: 9 }), run('on', '1', { state: 'running', latest: 5 })]
  assert.equal(runOfNode(runs, ['1'], 'w').id, 'on')
})

test('else the run that was used last', () => {
  const runs = [run('old', '1', { latest: 1 }), run('new', '1', { latest: 2 })]
  assert.equal(runOfNode(runs, ['1'], 'w').id, 'new')
})

test('a run that a copy reuses stays on the first node too', () => {
  const shared = run('a', '2', { nodes: [['1', 'w'], ['2', 'w']] })
  assert.equal(runOfNode([shared], ['1'], 'w').id, 'a')
  assert.equal(runOfNode([shared], ['2'], 'w').id, 'a')
})

test('what is queued to go on names its run and does not begin anew', () => {
  for (const resume of ['new', 'continue', 'reuse']) {
    const inputs = { resume, steps: 5 }
    const prompt = { output: { '12:3': { class_type: 'T', inputs }, 9: { inputs: {} } }, workflow: {} }
    const next = promptToResume(prompt, '12:3', 'zigzag-1')
    assert.deepEqual(next.output['12:3'].inputs, { resume: 'continue', steps: 5, resume_run: 'zigzag-1' })
    assert.deepEqual(next.output[9], { inputs: {} })
    assert.deepEqual(inputs, { resume, steps: 5 })
  }
})

test('a prompt without the node of its run cannot go on', () => {
  assert.throws(() => promptToResume({ output: {}, workflow: {} }, '1', 'a'), /node 1/)
})

test('a prompt from a script has no graph', () => {
  assert.equal(hasGraph({ output: {}, workflow: {} }), false)
  assert.equal(hasGraph({ output: {}, workflow: { nodes: [] } }), true)
})

test('the prompt of a run: that of its samples, else of its first clip', () => {
  const prompt = (train, more = {}) => ({ output: { 5: { class_type: 'T', inputs: train }, ...more }, workflow: {} })
  const clip = { 4: { class_type: 'MotionClip', inputs: { video: ['1', 0], prompt: ' a red ball ' } } }
  assert.equal(shownPrompt(prompt({ sample_prompt: 'a car', clips: ['4', 0] }, clip), '5'), 'a car')
  assert.equal(shownPrompt(prompt({ sample_prompt: '  ', clips: ['4', 0] }, clip), '5'), 'a red ball')
  assert.equal(shownPrompt(prompt({ sample_prompt: '\n a bus \na car', clips: ['4', 0] }, clip), '5'), 'a bus')
  const both = { ...clip, 3: { class_type: 'CombineMotionClips', inputs: { clips_1: ['4', 0], clips_2: ['9', 0] } } }
  assert.equal(shownPrompt(prompt({ clips: ['3', 0] }, both), '5'), 'a red ball')
  assert.equal(shownPrompt(prompt({ sample_prompt: ['8', 0], clips: ['4', 0] }, clip), '5'), '')
  assert.equal(shownPrompt(prompt({ clips: ['4', 0] }, { 4: { inputs: { prompt: ['8', 0] } } }), '5'), '')
  assert.equal(shownPrompt({ output: {}, workflow: {} }, '5'), '')
})

test('the latest sample, unless one was chosen that is still there', () => {
  const samples = [{ step: 10, file: 'a' }, { step: 20, file: 'b' }]
  assert.deepEqual(sampleShown(samples, null), { index: 1, step: 20, file: 'b' })
  assert.deepEqual(sampleShown(samples, 'a'), { index: 0, step: 10, file: 'a' })
  assert.deepEqual(sampleShown(samples, 'gone'), { index: 1, step: 20, file: 'b' })
  assert.equal(sampleShown([], 'a'), null)
})

test('each prompt of a step can be chosen', () => {
  const samples = [{ step: 10, prompt: 1, file: 'a' }, { step: 10, prompt: 2, file: 'b' }, { step: 20, prompt: 1, file: 'c' }]
  assert.equal(sampleShown(samples, 'b').index, 1)
})

test('keys move within the row, pages by a tenth', () => {
  const keys = ['ArrowLeft', 'ArrowRight', 'PageUp', 'PageDown', 'Home', 'End', 'x']
  assert.deepEqual(keys.map((key) => movedIndex(key, 50, 100)), [49, 51, 60, 40, 0, 99, null])
  assert.equal(movedIndex('ArrowLeft', 0, 3), 0)
  assert.equal(movedIndex('End', 0, 0), null)
})

test('Delete and Ctrl+C stay in the panel, Ctrl+Enter queues', () => {
  const key = (name, ctrlKey = false) => ({ key: name, ctrlKey, metaKey: false })
  assert.equal(staysInPanel(key('Delete')), true)
  assert.equal(staysInPanel(key('c', true)), true)
  assert.equal(staysInPanel(key('Enter', true)), false)
})

const t = (key, values = {}) => [key, ...Object.values(values)].join(' ')
const at = (step, change = {}) => ({ id: 'a', state: 'running', step, total: 100, saved_as: [], samples: [], ...change })

test('a screen reader hears of tenths, not of every step', () => {
  assert.equal(announcement(t, 'en', at(10), at(19)), '')
  assert.equal(announcement(t, 'en', at(19), at(20)), 'panel.progressSaid 20 100')
})

test('the saved adapter is announced before the end', () => {
  const end = at(100, { state: 'finished', saved_as: ['zigzag.safetensors'] })
  assert.equal(announcement(t, 'en', at(99), end), 'panel.savedAs zigzag.safetensors')
})

test('another run on the panel is not announced', () => {
  assert.equal(announcement(t, 'en', { ...at(1), id: 'b' }, at(50)), '')
  assert.equal(announcement(t, 'en', null, at(50)), '')
})

test('what the chart says of a step: value and average of every curve', () => {
  const curves = { a: [[1, 1], [2, 3]], b: [[2, 5]] }
  assert.deepEqual(readings({ curves }, 2, 0.5), [
    { name: 'a', value: 3, average: 3.5 / 1.5 },
    { name: 'b', value: 5, average: 5 }
  ])
  assert.deepEqual(readings(null, 2, 0.5), [])
})

test('a curve without the step says nothing of it: left out, not there yet, or over', () => {
  const curves = { a: [[1, 1], [3, 3]], b: [[2, 5]] }
  const names = (step) => readings({ curves }, step, 0).map(({ name }) => name)
  assert.deepEqual([1, 2, 3, 4].map(names), [['a'], ['b'], ['a'], []])
})

test('a bucket speaks for the steps that it joins', () => {
  const curves = { a: [[10, 1, 1, 1, 10], [20, 2, 2, 2, 10]] }
  const values = (step) => readings({ curves }, step, 0).map(({ value }) => value)
  assert.deepEqual([0, 1, 10, 11, 20, 21].map(values), [[], [1], [1], [2], [2], []])
})

test('the marks that lie under the pointer, of each kind the nearest', () => {
  const run = { checkpoints: [50, 100, 150], resumes: [100] }
  const near = (step) => marksNear(run, step, 5)
  assert.deepEqual(near(103), [['checkpoint', 100], ['resumed', 100]])
  assert.deepEqual(near(145), [['checkpoint', 150]])
  assert.deepEqual(near(130), [])
  assert.deepEqual(marksNear(null, 1, 5), [])
})

// Titles are 30 high and stand above a node's position.
const box = (x, y, width, height) => ({ pos: [x, y], size: [width, height] })

test('new nodes stand in a row to the right', () => {
  const sizes = [[200, 80], [30, 90]]
  // With room for a frame of 24 pixels around them.
  assert.deepEqual(freeRow(box(10, 20, 100, 50), sizes, [], 40), [[174, 20], [414, 20]])
})

test('where something lies, they stand below it, and below what lies there', () => {
  const train = box(0, 0, 100, 50)
  const others = [train, box(500, 0, 100, 60), box(160, 150, 100, 100), box(0, 900, 50, 50)]
  // Titles take 30 above a node and the frame's own 36 above them. Below 60 comes
  // 60 + 40 + 66 = 166, which meets 150 … 250, so 250 + 106 = 356.
  assert.deepEqual(freeRow(train, [[200, 80], [400, 90]], others, 40), [[164, 356], [404, 356]])
})

test('they stand beside the frame that is around the node that trained', () => {
  const [train, frame] = [box(0, 0, 100, 50), box(-30, -90, 200, 160)]
  // The frame ends at 170: 40 more, and 24 for the frame of the new ones.
  assert.deepEqual(freeRow(train, [[200, 80]], [train, frame], 40), [[234, 0]])
})

test('two boxes meet if they cover each other, not at their edges', () => {
  const one = box(0, 0, 100, 50)
  assert.ok(meet(one, box(90, 40, 20, 20)) && meet(box(90, 40, 20, 20), one))
  assert.ok(!meet(one, box(100, 0, 20, 20)) && !meet(one, box(0, 50, 20, 20)))
  assert.ok(!meet(one, box(90, 60, 20, 20)))
})

test('a frame goes around its nodes, their titles and its own', () => {
  // 24 on each side; above, 30 for the titles and 36 for the frame's.
  const frame = frameOf([box(100, 200, 50, 60), box(300, 180, 20, 200)])
  assert.deepEqual(frame, { pos: [76, 114], size: [320 + 24 - 76, 380 + 24 - 114] })
})

test('what a prompt is refused for is told', () => {
  const response = {
    error: { message: 'Prompt outputs failed validation', details: '' },
    node_errors: { 5: { class_type: 'TrainMotionAdapter', errors: [{ message: 'Value not in list', details: "checkpoint: 'x'" }] } }
  }
  const error = Object.assign(new Error('Prompt execution failed'), { response })
  assert.equal(
    reasonOf(error),
    "Prompt outputs failed validation\nTrainMotionAdapter: Value not in list: checkpoint: 'x'"
  )
  assert.equal(reasonOf(Object.assign(new Error('x'), { response: { error: 'No.' } })), 'No.')
  assert.equal(reasonOf(new Error('It is over.')), 'It is over.')
  assert.equal(reasonOf('text'), 'text')
})

test('every join of the apply nodes comes from a node before it', () => {
  CHAIN.forEach(({ joins }, index) => {
    for (const { from } of joins) assert.ok(CHAIN.slice(0, index).some(({ id }) => id === from))
  })
})

test('a slot is found by its type', () => {
  assert.equal(slotOf([{ name: 'a', type: 'IMAGE' }, { name: 'b', type: 'MOTION_BASE' }], 'MOTION_BASE'), 1)
  assert.equal(slotOf(undefined, 'IMAGE'), -1)
})

test('a node says all texts of its output', () => {
  assert.equal(saidIn({ text: ['one', 'two'] }), 'one\n\ntwo')
  assert.equal(saidIn({ text: 'one' }), 'one')
  assert.equal(saidIn({ images: [] }), '')
  assert.equal(saidIn(undefined), '')
})

test('what a node says has the height of its wrapped lines, up to a most', () => {
  assert.equal(saidHeight('', 400), 0)
  // (400 - 54) / 7.25 = 47 characters a line.
  assert.equal(saidHeight('x'.repeat(47), 400), 34 + 17)
  assert.equal(saidHeight(`${'x'.repeat(48)}\n\ny`, 400), 34 + 4 * 17)
  assert.equal(saidHeight('\n'.repeat(500), 400), 34 + 24 * 17)
})

test('outputs are kept by the subgraph that a node lies in', () => {
  const root = { id: 'r', nodes: [] }
  assert.equal(locatorId(root, root, 4), '4')
  assert.equal(locatorId(root, { id: 'uuid', nodes: [] }, 4), 'uuid:4')
})
