/**
 * Joins the training panel and the Runs tab to ComfyUI. This file and node_texts.js are the only
 * ones that import from it: two small features, two entries.
 */
import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'

import { hasGraph } from './lib/graph/prompts.js'
import { addStyles, element } from './lib/page/elements.js'
import { RunActions } from './lib/panel/run_actions.js'
import { RunViews } from './lib/panel/run_views.js'
import { RunClient } from './lib/runs/client.js'
import { keepUpToDate } from './lib/runs/polling.js'
import { RunStore } from './lib/runs/store.js'
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
/** @type {RunViews} */
let views

/** @type {import('./lib/panel/run_actions.js').Page} */
const page = {
  graph: () => app.rootGraph ?? app.graph,
  placeOf: (node) => places.get(node),
  queue: (prompt) => api.queuePrompt(0, prompt),
  load: async (prompt, name) => {
    if (hasGraph(prompt)) await app.loadGraphData(prompt.workflow, true, true, name)
    else await app.loadApiJson(prompt.output, name)
  },
  createNode: (id) => globalThis.LiteGraph.createNode(id),
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
    const actions = new RunActions(client, store, page, translate)
    views = new RunViews(store, actions, page, translate, locale)
  },

  async setup() {
    const { translate } = views
    api.addEventListener(EVENT, (/** @type {CustomEvent} */ { detail }) => views.receive(detail))
    api.addEventListener('executing', (/** @type {CustomEvent} */ { detail }) =>
      views.works(String(detail ?? ''))
    )
    api.addEventListener('reconnected', () => store.refresh())
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
  },

  /** @param {any} node */
  nodeCreated(node) {
    if ((node.comfyClass ?? node.constructor.comfyClass) === NODE) addPlace(node)
  },

  loadedGraphNode: () => views.redraw(),
  afterConfigureGraph: () => views.redraw()
})

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
