/** Joins the training panel and the Runs tab to ComfyUI; nothing else here imports from it. */
import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'

import { addApplyNodes } from './lib/apply_graph.js'
import { RunClient } from './lib/client.js'
import { executionIds, runOfNode } from './lib/node_ids.js'
import { TrainingPanel } from './lib/panel.js'
import { hasGraph, promptToGoOn } from './lib/prompts.js'
import { RunsTab } from './lib/runs_tab.js'
import { RunStore } from './lib/store.js'
import { translator } from './lib/texts.js'

const NODE = 'TrainMotionAdapter'
const EVENT = 'motion_adapters.run'
const PANEL_HEIGHT = 470
const NODE_WIDTH = 420
const POLL_SECONDS = 10
const SLOW_POLL_SECONDS = 30

const client = new RunClient(api.fetchApi.bind(api), api.apiURL.bind(api))
const store = new RunStore(client)
const url = client.sampleUrl.bind(client)

/** @type {{panel: TrainingPanel, node: any, other: string}[]} */
const panels = []
/** @type {{tab: RunsTab, chosen: string, other: string} | null} */
let sidebar = null
/** What was open in the sidebar when it was closed. */
const remembered = { chosen: '', other: '' }
/** The node that the server works on, until it tells of a run of it. */
let executing = ''
let locale = 'en'
/** @type {import('./lib/texts.js').Translate} */
let translate = (key) => key
let drawing = false

app.registerExtension({
  name: 'MotionAdapters.TrainingPanel',

  async init() {
    addStyles()
    locale = app.extensionManager?.setting?.get('Comfy.Locale') || 'en'
    const response = await api.fetchApi('/i18n').catch(() => null)
    translate = translator(response?.ok ? await response.json() : {}, locale)
  },

  async setup() {
    store.subscribe(redraw)
    api.addEventListener(EVENT, (/** @type {CustomEvent} */ { detail }) => received(detail))
    api.addEventListener('executing', (/** @type {CustomEvent} */ { detail }) => {
      executing = String(detail ?? '')
      redraw()
    })
    api.addEventListener('reconnected', () => store.refresh())
    document.addEventListener('visibilitychange', () => document.hidden || store.refresh())
    app.extensionManager.registerSidebarTab({
      id: 'motion-adapters-runs',
      icon: 'pi pi-chart-line',
      title: translate('tab.name'),
      tooltip: translate('tab.title'),
      type: 'custom',
      render: openSidebar,
      destroy: closeSidebar
    })
    poll()
    store.refresh()
  },

  /** @param {any} node */
  nodeCreated(node) {
    if ((node.comfyClass ?? node.constructor.comfyClass) === NODE) addPanel(node)
  },

  loadedGraphNode() {
    redraw()
  },

  afterConfigureGraph() {
    redraw()
  }
})

function addStyles() {
  const link = document.createElement('link')
  link.rel = 'stylesheet'
  link.href = new URL('./panel.css', import.meta.url).href
  document.head.append(link)
}

/** @param {any} message */
function received(message) {
  if (message.node_id === executing) executing = ''
  const known = store.summaries.get(message.id)?.saved_as?.length ?? 0
  store.receive(message)
  // The new adapter is offered at once in the loaders' lists.
  if ((message.saved_as?.length ?? 0) > known) app.refreshComboInNodes?.()
}

/** Messages can get lost with a socket, so the page also asks now and then. */
function poll() {
  const seconds = store.active() ? POLL_SECONDS : SLOW_POLL_SECONDS
  setTimeout(async () => {
    if (!document.hidden) await store.refresh()
    poll()
  }, 1000 * seconds)
}

/** @param {any} node */
function addPanel(node) {
  const shown = { panel: newPanel((id) => overlaid(shown, id)), node, other: '' }
  const widget = node.addDOMWidget('training', 'motion-training', shown.panel.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => PANEL_HEIGHT
  })
  widget.serialize = false
  node.setSize?.([Math.max(node.size[0], NODE_WIDTH), node.computeSize()[1]])
  const { onRemoved } = node
  node.onRemoved = function (...rest) {
    onRemoved?.apply(this, rest)
    if (panels.includes(shown)) panels.splice(panels.indexOf(shown), 1)
    shown.panel.destroy()
  }
  panels.push(shown)
  redraw()
}

/** @param {(id: string) => void} overlay */
const newPanel = (overlay) => new TrainingPanel(translate, locale, actions(overlay), url)

/** @param {(id: string) => void} overlay */
const actions = (overlay) => ({
  /** @param {any} run @param {any} command */
  ask: (run, command) => reported(() => ask(run, command)),
  /** @param {any} run */
  resume: (run) => reported(() => resume(run)),
  /** @param {any} run */
  apply: (run) => reported(() => addApply(run)),
  overlay
})

/**
 * @param {{other: string}} shown
 * @param {string} id
 */
async function overlaid(shown, id) {
  shown.other = id
  if (id) await store.open(id)
  redraw()
}

/** Draws once a frame, however much has changed. */
function redraw() {
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    for (const shown of panels) drawPanel(shown)
    if (sidebar) drawSidebar(sidebar)
  })
}

/** @param {{panel: TrainingPanel, node: any, other: string}} shown */
function drawPanel({ panel, node, other }) {
  const root = app.rootGraph ?? app.graph
  const ids = node.graph && root ? executionIds(root, node.graph, node.id) : []
  const own = runOfNode(store.list(), ids, String(root?.id ?? ''))
  panel.update({ ...shownRun(own?.id ?? '', other), starting: ids.includes(executing) })
}

/** @param {{tab: RunsTab, chosen: string, other: string}} shown */
function drawSidebar({ tab, chosen, other }) {
  tab.update(store.list(), shownRun(chosen, other))
}

/**
 * What a panel shows of a run; a history that the page lacks is asked for and drawn when it comes.
 *
 * @param {string} id
 * @param {string} other
 */
function shownRun(id, other) {
  const run = id ? store.history(id) : null
  if (id && !run && store.summaries.has(id)) store.open(id)
  const others = store.list().filter((entry) => entry.id !== id && entry.step > 0)
  const loaded = store.loaded && (run !== null || !store.summaries.has(id))
  return { run, others, other: other ? store.history(other) : null, loaded, error: store.error }
}

/** @param {HTMLElement} place */
function openSidebar(place) {
  if (sidebar && place.contains(sidebar.tab.element)) return
  closeSidebar()
  const shown = { ...remembered }
  const tab = new RunsTab(translate, locale, actions((id) => overlaid(remember(), id)), {
    choose: (id) => {
      remember().chosen = id
      store.update(id)
      redraw()
    },
    load: (run) => reported(() => loadGraph(run)),
    delete: (run) => reported(() => deleteRun(run)),
    refresh: () => store.refresh()
  }, url)
  sidebar = { tab, ...shown }
  place.replaceChildren(tab.element)
  store.refresh()
}

/** The open sidebar, or what it was. */
const remember = () => sidebar ?? remembered

function closeSidebar() {
  if (!sidebar) return
  Object.assign(remembered, { chosen: sidebar.chosen, other: sidebar.other })
  sidebar.tab.destroy()
  sidebar = null
}

/**
 * Does it, and shows the reason if it can't be done.
 *
 * @param {() => Promise<void>} act
 */
async function reported(act) {
  try {
    await act()
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    const summary = translate('panel.failed')
    app.extensionManager.toast.add({ severity: 'error', summary, detail, life: 8000 })
  }
}

/**
 * @param {any} run
 * @param {any} command
 */
async function ask(run, command) {
  await client.ask(run.id, command)
  if (command === 'pause') await resume(run)
  await store.update(run.id)
}

/**
 * Queues the prompt of the run at the back; the node goes on from the last checkpoint.
 *
 * @param {any} run
 */
async function resume(run) {
  const prompt = promptToGoOn(await client.prompt(run.id), run.node_id)
  await api.queuePrompt(0, prompt)
  const detail = translate('panel.queued', { run: run.title || run.id })
  app.extensionManager.toast.add({ severity: 'info', summary: translate('panel.title'), detail, life: 4000 })
}

/** @param {any} run */
async function loadGraph(run) {
  const prompt = await client.prompt(run.id)
  const name = run.title || run.id
  if (hasGraph(prompt)) await app.loadGraphData(prompt.workflow, true, true, name)
  else await app.loadApiJson(prompt.output, name)
}

/** @param {any} run */
async function deleteRun(run) {
  const agreed = await app.extensionManager.dialog.confirm({
    title: translate('tab.delete'),
    message: translate('tab.deleteAsked', { run: run.title || run.id }),
    type: 'delete'
  })
  if (!agreed) return
  await client.delete(run.id)
  if (sidebar?.chosen === run.id) sidebar.chosen = ''
  await store.refresh()
}

/** @param {any} run */
async function addApply(run) {
  const train = panels.find(({ panel }) => panel.shown.run?.id === run.id)?.node
  if (!train?.graph) throw new Error(translate('panel.noNode'))
  await app.refreshComboInNodes?.()
  const create = (/** @type {string} */ id) => globalThis.LiteGraph.createNode(id)
  const missing = addApplyNodes(train, run.saved_as[run.saved_as.length - 1], create)
  if (missing.length) throw new Error(translate('panel.noNodes', { names: missing.join(', ') }))
  app.canvas?.setDirty(true, true)
}
