/**
 * Fills the widgets that nobody has touched with what suits the base, the method and the clips that
 * are connected, and says so on the node; its button brings the suited values back. What a node of
 * version 0.1.0 left to the base is shown as it ran. Beside extension.js and node_texts.js the only
 * file that imports from ComfyUI.
 */
import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'

import { placedNodes } from './lib/graph/node_ids.js'
import { agreed, asTheyStand } from './lib/suited/filled.js'
import { MARK, MENU, apply, begin, configured, differing, keptOf, touchedOf } from './lib/suited/suited_node.js'
import { translator } from './lib/text/texts.js'

const NODES = ['MotionClip', 'MotionClipsFromFolder', 'SampleMotionVideo', 'TrainMotionAdapter']
const ROUTE = '/motion_adapters/suited'
const WAIT_MS = 150
const WORD = 'auto'

/** The last answer to each node. @type {WeakMap<any, import('./lib/suited/filled.js').Answer>} */
const answers = new WeakMap()
/** The button of each node. @type {WeakMap<any, any>} */
const buttons = new WeakMap()
/** @type {import('./lib/text/texts.js').Translate} */
let translate = (key) => key
let asked = ''
/** @type {ReturnType<typeof setTimeout> | undefined} */
let waiting

app.registerExtension({
  name: 'MotionAdapters.Suited',

  async init() {
    const locale = app.extensionManager?.setting?.get('Comfy.Locale') || 'en'
    const response = await api.fetchApi('/i18n').catch(() => null)
    translate = translator(response?.ok ? await response.json() : {}, locale)
  },

  setup() {
    api.addEventListener('graphChanged', soon)
    const load = app.loadApiJson
    app.loadApiJson = async function (/** @type {Record<string, any>} */ prompt, ...rest) {
      const done = await load.call(this, prompt, ...rest)
      for (const node of placed().keys()) configured(node, {})
      soon()
      return done
    }
  },

  /** @param {any} node */
  nodeCreated(node) {
    if (isSuited(node)) watch(node)
  },

  afterConfigureGraph: soon
})

const rootGraph = () => app.rootGraph ?? app.graph

/** @param {any} node */
function isSuited(node) {
  const kind = node.comfyClass ?? node.constructor.comfyClass
  return NODES.includes(kind) || MARK in (node.constructor.nodeData?.input?.optional ?? {})
}

/** The suited nodes in the graph, by the ids that the server knows them by. */
const placed = () => new Map([...placedNodes(rootGraph())].filter(([node]) => isSuited(node)))

/** @param {any} node */
function watch(node) {
  begin(node)
  const button = node.addWidget('button', 'suited', null, () => restore(node))
  button.serialize = false
  button.label = translate('suited.none')
  buttons.set(node, button)
  const configure = node.onConfigure
  node.onConfigure = function (/** @type {any} */ saved, ...rest) {
    configure?.call(this, saved, ...rest)
    configured(this, saved)
  }
  const connections = node.onConnectionsChange
  node.onConnectionsChange = function (...rest) {
    connections?.apply(this, rest)
    soon()
  }
}

function soon() {
  clearTimeout(waiting)
  waiting = setTimeout(refresh, WAIT_MS)
}

/** Asks the server, if the graph is another one than it was last asked about. */
async function refresh() {
  const nodes = placed()
  if (nodes.size === 0) return
  const touched = [...nodes].flatMap(([node, ids]) => ids.map((id) => [id, touchedOf(node)]))
  const prompt = (await app.graphToPrompt()).output
  const body = JSON.stringify({ prompt, touched: Object.fromEntries(touched) })
  if (body === asked) return
  asked = body
  const response = await api.fetchApi(ROUTE, { method: 'POST', body }).catch(() => null)
  if (!response?.ok) return
  const told = (await response.json()).nodes
  let isChanged = false
  for (const [node, ids] of nodes) {
    const answer = ids.map((id) => told[id]).find(Boolean)
    if (answer) answers.set(node, answer)
    else answers.delete(node)
    isChanged = (answer ? apply(node, answer) : false) || isChanged
  }
  isChanged = keepInStep(nodes) || isChanged
  for (const node of nodes.keys()) show(node)
  if (isChanged) soon() // a clip's size may suit what plays it
}

/** @param {any} node */
function restore(node) {
  const answer = answers.get(node)
  if (!answer) return
  apply(node, answer, true)
  soon()
  show(node)
}

/**
 * The settings that a training node and its settings node both have.
 *
 * @param {Map<any, string[]>} nodes
 */
function keepInStep(nodes) {
  let isChanged = false
  for (const node of nodes.keys()) {
    const slot = node.inputs?.findIndex((/** @type {any} */ input) => input.name === 'advanced') ?? -1
    const other = slot < 0 ? null : node.getInputNode?.(slot)
    if (!other || !isSuited(other)) continue
    const own = menuOf(node)
    const kept = keptOf(node)
    const changes = agreed(asTheyStand(other.widgets), own, kept.agreed ?? {})
    for (const [name, value] of Object.entries(changes)) {
      set(other, name, value)
      set(node, `${MENU}.${name}`, value)
      isChanged = true
    }
    kept.agreed = menuOf(node)
  }
  return isChanged
}

/** The method's own settings on a training node, by field. @param {any} node */
function menuOf(node) {
  const own = node.widgets.filter((/** @type {any} */ { name }) => name.startsWith(`${MENU}.`))
  return Object.fromEntries(
    own.map((/** @type {any} */ { name, value }) => [name.slice(MENU.length + 1), value])
  )
}

/**
 * @param {any} node
 * @param {string} name
 * @param {any} value
 */
function set(node, name, value) {
  const widget = node.widgets.find((/** @type {any} */ one) => one.name === name)
  if (widget) widget.value = value
}

/** Says on the node whether it is suited, and what its words become. @param {any} node */
function show(node) {
  const answer = answers.get(node)
  const button = buttons.get(node)
  button.label = answer ? told(node, answer) : translate('suited.none')
  for (const widget of node.widgets) {
    const becomes = answer?.becomes?.[widget.name]
    const name = widget.shown ?? (widget.shown = widget.label ?? widget.name)
    if (becomes !== undefined) {
      const values = { name, value: becomes }
      widget.label = widget.value === WORD ? translate('suited.becomes', values) : name
    }
  }
  app.canvas?.setDirty(true, true)
}

/**
 * @param {any} node
 * @param {import('./lib/suited/filled.js').Answer} answer
 */
function told(node, answer) {
  const count = differing(node, answer)
  const values = { base: answer.to.base, count }
  if (count === 0) return translate('suited.all', values)
  return translate(keptOf(node).ofThen ? 'suited.then' : 'suited.some', values)
}
