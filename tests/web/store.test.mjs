/** The store against a server that answers from a list of steps, and the client's requests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { RunClient } from '../../web/lib/runs/client.js'
import { RunStore } from '../../web/lib/runs/store.js'

/** A server with one run whose loss at every step is the step. */
class Server {
  constructor(step) {
    Object.assign(this, { step, part: 1, state: 'running', asked: [] })
  }

  summary() {
    const { step, part, state } = this
    return { id: 'a', state, step, total: 100, part, node_id: '1', workflow_id: 'w', began: 1, latest: 1, saved_as: [] }
  }

  async runs() {
    return { runs: [{ ...this.summary(), size: 7 }] }
  }

  async run(id, since) {
    if (id !== 'a') throw new Error(`There is no run '${id}'.`)
    this.asked.push(since)
    return { ...this.summary(), since, curves: { loss: this.points(since) }, samples: [], checkpoints: [], resumes: [], settings: {} }
  }

  points(since) {
    return Array.from({ length: Math.max(0, this.step - since) }, (_, i) => [since + i + 1, since + i + 1])
  }

  message(since) {
    const counts = { samples: 0, checkpoints: 0, resumes: 0 }
    return { ...this.summary(), counts, since, points: { loss: this.points(since) } }
  }
}

const steps = (store) => store.history('a').curves.loss.map((point) => point[0])
const upTo = (last) => Array.from({ length: last }, (_, i) => i + 1)

test('a page that is opened in the middle gets the whole curve, then only what is new', async () => {
  const server = new Server(5)
  const store = new RunStore(server)
  await store.refresh()
  await store.open('a')
  server.step = 8
  await store.refresh()
  assert.deepEqual(steps(store), upTo(8))
  assert.deepEqual(server.asked, [0, 5])
})

test('messages go on without asking', async () => {
  const server = new Server(5)
  const store = new RunStore(server)
  await store.refresh()
  await store.open('a')
  server.step = 7
  store.receive(server.message(5))
  assert.deepEqual(steps(store), upTo(7))
  assert.deepEqual(server.asked, [0])
})

test('a lost message is made up for', async () => {
  const server = new Server(5)
  const store = new RunStore(server)
  await store.refresh()
  await store.open('a')
  server.step = 20
  store.receive(server.message(15))
  await store.update('a')
  assert.deepEqual(steps(store), upTo(20))
})

test('a resumed run that went back is read anew', async () => {
  const server = new Server(20)
  const store = new RunStore(server)
  await store.refresh()
  await store.open('a')
  Object.assign(server, { step: 12, part: 2 })
  store.receive(server.message(12))
  await store.update('a')
  assert.deepEqual(steps(store), upTo(12))
  assert.equal(store.history('a').part, 2)
})

test('a refresh too sees that the run began another part', async () => {
  const server = new Server(20)
  const store = new RunStore(server)
  await store.refresh()
  await store.open('a')
  Object.assign(server, { step: 12, part: 2 })
  await store.refresh()
  assert.deepEqual(steps(store), upTo(12))
})

test('a run that the page has not heard of is looked up', async () => {
  const server = new Server(3)
  const store = new RunStore(server)
  store.receive(server.message(0))
  await new Promise((resolve) => setTimeout(resolve))
  assert.equal(store.list()[0].step, 3)
})

test('a deleted run is gone', async () => {
  const store = new RunStore(new Server(3))
  await store.refresh()
  await store.open('a')
  store.receive({ id: 'a', state: 'deleted' })
  assert.deepEqual([store.list(), store.history('a')], [[], null])
})

test('a server that cannot be asked is an error to show, and the runs stay', async () => {
  const server = new Server(3)
  const store = new RunStore(server)
  await store.refresh()
  server.runs = async () => {
    throw new Error('Failed to fetch')
  }
  await store.refresh()
  assert.equal(store.error, 'Failed to fetch')
  assert.equal(store.list().length, 1)
})

test('two requests for one run at a time become one after the other', async () => {
  const server = new Server(3)
  const store = new RunStore(server)
  await Promise.all([store.update('a'), store.update('a')])
  assert.deepEqual(server.asked, [0, 3])
})

test('a run that is over is not asked for again and again', async () => {
  const server = new Server(5)
  server.state = 'finished'
  const store = new RunStore(server)
  await store.refresh()
  await store.open('a')
  await store.refresh()
  assert.deepEqual(server.asked, [0])
})

test('a history that cannot be had is asked for once, and again when the server is back', async () => {
  const server = new Server(5)
  const { run } = server
  let tries = 0
  server.run = async () => {
    tries += 1
    throw new Error('Failed to fetch')
  }
  const store = new RunStore(server)
  await store.refresh()
  store.subscribe(() => store.open('a'))
  await store.open('a')
  await store.open('a')
  assert.equal(tries, 1)
  server.run = run
  await store.refresh()
  await store.open('a')
  assert.deepEqual(steps(store), upTo(5))
})

test('many messages of an unknown run read the list once', async () => {
  const server = new Server(3)
  let lists = 0
  const { runs } = server
  server.runs = () => {
    lists += 1
    return runs.call(server)
  }
  const store = new RunStore(server)
  for (let i = 0; i < 5; i += 1) store.receive(server.message(0))
  await store.refreshing
  assert.equal(lists, 1)
})

test('a list that was asked for before a run was deleted does not bring it back', async () => {
  const server = new Server(3)
  const store = new RunStore(server)
  await store.refresh()
  const { runs } = server
  let answer
  server.runs = () => new Promise((resolve) => (answer = resolve))
  const poll = store.refresh()
  const before = await runs.call(server)
  server.runs = async () => ({ runs: [] })
  store.receive({ id: 'a', state: 'deleted' })
  answer(before)
  await poll
  assert.deepEqual(store.list(), [])
})

test('who asks for the list while an older request goes on gets a newer one', async () => {
  const server = new Server(3)
  const store = new RunStore(server)
  const { runs } = server
  let answer
  server.runs = () => new Promise((resolve) => (answer = resolve))
  const poll = store.refresh()
  server.runs = runs
  const before = await server.runs()
  server.step = 9
  const asked = store.refresh()
  answer(before)
  await Promise.all([poll, asked])
  assert.equal(store.list()[0].step, 9)
})

test('a run that cannot be read is an error of its own, not of the server', async () => {
  const server = new Server(3)
  const { run } = server
  const store = new RunStore(server)
  await store.refresh()
  server.run = async () => {
    throw new Error("There is no run 'a'.")
  }
  await store.open('a')
  assert.equal(store.error, null)
  assert.equal(store.errorOf('a'), "There is no run 'a'.")
  assert.equal(store.errorOf('b'), null)
  server.run = run
  await store.update('a')
  assert.equal(store.errorOf('a'), null)
})

test('the histories that are shown are kept, and four more, the last shown first', async () => {
  const server = new Server(3)
  server.run = async (id) => ({ ...server.summary(), id, since: 0, curves: {}, samples: [], checkpoints: [], resumes: [] })
  const store = new RunStore(server)
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await store.open(id)
  store.keep(new Set(['a']))
  assert.deepEqual([...store.histories.keys()], ['d', 'e', 'f', 'g', 'a'])
  store.keep(new Set(['b', 'none']))
  assert.deepEqual([...store.histories.keys()], ['e', 'f', 'g', 'a'])
})

test('what a person asks for is marked at once', async () => {
  const server = new Server(3)
  const answer = server.run
  server.run = async (...args) => ({ ...(await answer.apply(server, args)), asked: [] })
  const store = new RunStore(server)
  await store.open('a')
  store.noteAsked('a', 'pause')
  assert.deepEqual(store.history('a').asked, ['pause'])
})

test('a history has the second at which it came', async () => {
  const server = new Server(3)
  const store = new RunStore(server, () => 42)
  await store.open('a')
  assert.equal(store.history('a').told, 42)
})

test('listeners are called until they end it', async () => {
  const store = new RunStore(new Server(3))
  let calls = 0
  const end = store.subscribe(() => (calls += 1))
  await store.refresh()
  const before = calls
  end()
  await store.refresh()
  assert.ok(before > 0)
  assert.equal(calls, before)
})

test('the client asks the routes and gives the reason of an error', async () => {
  const asked = []
  const fetchApi = async (route, options) => {
    asked.push(`${options?.method ?? 'GET'} ${route}`)
    return new Response(JSON.stringify({ error: 'It is over.' }), { status: 409 })
  }
  const client = new RunClient(fetchApi, (route) => `/api${route}`)
  await assert.rejects(client.ask('a b', 'stop'), /It is over\./)
  await assert.rejects(client.run('a', 5), /It is over\./)
  await assert.rejects(client.delete('a'), /It is over\./)
  assert.deepEqual(asked, [
    'POST /motion_adapters/runs/a%20b/stop',
    'GET /motion_adapters/runs/a?since=5',
    'DELETE /motion_adapters/runs/a'
  ])
  assert.equal(client.sampleUrl({ id: 'a', part: 2 }, 'step-5.mp4'), '/api/motion_adapters/runs/a/samples/step-5.mp4?part=2')
})

test('an answer that is no JSON is an error with its status', async () => {
  const client = new RunClient(async () => new Response('<html>', { status: 502, statusText: 'Bad Gateway' }), String)
  await assert.rejects(client.runs(), /502 Bad Gateway/)
})
