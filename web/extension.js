/**
 * Joins the training panel and the Runs tab to ComfyUI. Only it and the other files of this folder
 * import from that: small features, an entry each.
 */
import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'

import { hasGraph } from './lib/graph/prompts.js'
import { addStyles, element } from './lib/page/elements.js'
import { RunActions } from './lib/panel/run_actions.js'
import { RunViews } from './lib/panel/run_views.js'
import { RunClient } from './lib/runs/client.js'
import { keepUpToDate, keepWaiting } from './lib/runs/polling.js'
import { RunStore } from './lib/runs/store.js'
import { WaitingPrompts } from './lib/runs/waiting.js'
import { translator } from './lib/text/texts.js'

const NODE = 'TrainMotionAdapter'
const EVENT = 'motion_adapters.run'
const PANEL_HEIGHT = 500
const NODE_WIDTH = 460
const SAID_MS = { info: 4000, error: 8000 }

/** Where the nodes' panels go. @type {WeakMap<any, HTMLElement>} */
const places = new WeakMap()
/** @type {RunStore} */
let store
/** @type {WaitingPrompts} */
let waiting
/** @type {RunViews} */
let views
/** Prompts that this page knows to have started, and to have ended. @type {Set<string>} */
const started = new Set()
/** @type {Set<string>} */
const ended = new Set()
const ENDS = { execution_success: ended, execution_error: ended, execution_interrupted: ended }

/** @type {import('./lib/panel/run_actions.js').Page} */
const page = {
  graph: () => app.rootGraph ?? app.graph,
  placeOf: (node) => places.get(node),
  queue: (prompt) => api.queuePrompt(0, prompt),
  load: async (prompt, name) => {
    if (hasGraph(prompt)) await app.loadGraphData(prompt.workflow, true, true, name)
    else await app.loadApiJson(prompt.output, name)
  },
  create: {
    node: (id) => globalThis.LiteGraph.createNode(id),
    group: (title) => new globalThis.LiteGraph.LGraphGroup(title)
  },
  nodesChanged: () => app.canvas?.setDirty(true, true),
  refreshLists: async () => app.refreshComboInNodes?.(),
  confirm: async (title, message) =>
    (await app.extensionManager.dialog.confirm({ title, message, type: 'delete' })) === true,
  say: (severity, summary, detail) =>
    app.extensionManager.toast.add({ severity, summary, detail, life: SAID_MS[severity] })
}

app.registerExtension({
  name: 'MotionAdapters.TrainingPanel',

  async init() {
    addStyles(new URL('./panel.css', import.meta.url).href)
    const locale = app.extensionManager?.setting?.get('Comfy.Locale') || 'en'
    const response = await api.fetchApi('/i18n').catch(() => null)
    const translate = translator(response?.ok ? await response.json() : {}, locale)
    const client = new RunClient(api.fetchApi.bind(api), api.apiURL.bind(api))
    store = new RunStore(client)
    waiting = new WaitingPrompts(client)
    const actions = new RunActions(client, store, waiting, page, translate)
    views = new RunViews(store, waiting, actions, page, translate, locale)
  },

  async setup() {
    const { translate } = views
    api.addEventListener(EVENT, (/** @type {CustomEvent} */ { detail }) => store.receive(detail))
    followQueue()
    app.extensionManager.registerSidebarTab({
      id: 'motion-adapters-runs',
      icon: 'pi pi-chart-line',
      title: translate('tab.name'),
      tooltip: translate('tab.title'),
      type: 'custom',
      render: (/** @type {HTMLElement} */ place) => views.openSidebar(place),
      destroy: () => views.closeSidebar()
    })
    keepUpToDate(store)
    keepWaiting(waiting)
    waiting.refresh()
  },

  /** @param {any} node */
  nodeCreated(node) {
    if ((node.comfyClass ?? node.constructor.comfyClass) === NODE) addPlace(node)
  },

  loadedGraphNode: () => views.redraw(),
  afterConfigureGraph: () => views.redraw()
})

/** ComfyUI tells every page that its queue has changed, and this one what it has queued itself. */
function followQueue() {
  api.addEventListener('promptQueued', () => waiting.pressed())
  api.addEventListener('status', () => waiting.refresh())
  api.addEventListener('execution_cached', (/** @type {CustomEvent} */ { detail }) =>
    waiting.skip(detail.prompt_id, detail.nodes)
  )
  api.addEventListener('reconnecting', () => store.refresh())
  api.addEventListener('reconnected', () => Promise.all([store.refresh(), waiting.refresh()]))
  waiting.subscribe(announceStarted)
  for (const [kind, prompts] of Object.entries({ execution_start: started, ...ENDS })) {
    api.addEventListener(kind, (/** @type {CustomEvent} */ { detail }) => prompts.add(detail.prompt_id))
  }
  const { interrupt } = api
  api.interrupt = function (/** @type {string | null} */ promptId, ...rest) {
    waiting.cancel(promptId)
    return interrupt.call(this, promptId, ...rest)
  }
}

/**
 * ComfyUI's own Cancel knows of what it has seen start: not of what ran before the page was loaded.
 * So this page is told of what it queued itself and runs.
 */
function announceStarted() {
  for (const { prompt_id: id, client_id: client, is_running: isRunning } of waiting.entries) {
    if (!isRunning || client !== api.clientId || started.has(id) || ended.has(id)) continue
    api.dispatchCustomEvent('execution_start', { prompt_id: id, timestamp: Date.now() })
  }
}

/**
 * The panel itself is made once the node is in the graph, and taken away when it is not: a copied
 * node never is.
 *
 * @param {any} node
 */
function addPlace(node) {
  const place = element('div', { class: 'motion-adapters-place' })
  const widget = node.addDOMWidget('training', 'motion-training', place, {
    serialize: false,
    hideInPanel: true, // a page's panel of properties would take it, and set its width for good
    hideOnZoom: false,
    getMinHeight: () => PANEL_HEIGHT
  })
  widget.serialize = false
  node.setSize?.([Math.max(node.size[0], NODE_WIDTH), node.computeSize()[1]])
  places.set(node, place)
  for (const call of ['onAdded', 'onRemoved']) {
    const before = node[call]
    node[call] = function (...rest) {
      before?.apply(this, rest)
      views.redraw()
    }
  }
  views.redraw()
}
