/**
 * Shows on a node the text that it says: reports, warnings, where a file was saved. ComfyUI's own
 * page shows the texts of its own nodes only. Beside extension.js the only file that imports from
 * ComfyUI.
 */
import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'

import { placedNodes } from './lib/graph/node_ids.js'
import { locatorId, saidIn, saidHeight } from './lib/graph/node_texts.js'
import { addStyles, element } from './lib/page/elements.js'

const NODES = [
  'AnimateDiffBaseFromModel',
  'ConvertMotionAdapter',
  'EvaluateMotion',
  'InspectMotionAdapter',
  'MotionClip',
  'MotionClipsFromFolder',
  'RecaptionFrames',
  'SaveMotionAdapter'
]
const LEAST_WIDTH = 320

/** Where the nodes' texts stand. @type {WeakMap<any, HTMLElement>} */
const places = new WeakMap()

app.registerExtension({
  name: 'MotionAdapters.NodeTexts',

  /** Vue nodes of older pages never show a widget that comes later. @param {any} node */
  nodeCreated(node) {
    if (isSpeaker(node)) addText(node)
  },

  setup() {
    addStyles(new URL('./node_texts.css', import.meta.url).href)
    api.addEventListener('executing', (/** @type {CustomEvent} */ { detail }) => {
      for (const node of speakers(String(detail ?? ''))) say(node, '')
    })
    api.addEventListener('executed', (/** @type {CustomEvent} */ { detail }) => {
      const id = String(detail.display_node ?? detail.node)
      for (const node of speakers(id)) say(node, saidIn(detail.output))
    })
  },

  /**
   * Of a graph that was left and is shown again.
   *
   * @param {Record<string, any>} outputs
   */
  onNodeOutputsUpdated(outputs) {
    for (const node of speakers()) {
      const output = outputs[locatorId(rootGraph(), node.graph, node.id)]
      if (output) say(node, saidIn(output))
    }
  }
})

const rootGraph = () => app.rootGraph ?? app.graph

/**
 * The nodes in the graph that may say something.
 *
 * @param {string} [id] those that the server knows by it
 */
function speakers(id) {
  const placed = [...placedNodes(rootGraph())]
  return placed
    .filter(([node, ids]) => isSpeaker(node) && (id === undefined || ids.includes(id)))
    .map(([node]) => node)
}

/** @param {any} node */
const isSpeaker = (node) => NODES.includes(node.comfyClass ?? node.constructor.comfyClass)

/**
 * @param {any} node
 * @param {string} text "" takes what was there away
 */
function say(node, text) {
  const place = places.get(node)
  if (!place || place.textContent === text) return
  place.textContent = text
  place.hidden = text === ''
  node.setSize?.([Math.max(node.size[0], LEAST_WIDTH), node.computeSize()[1]])
  app.canvas?.setDirty(true, true)
}

/** Without a text it takes no room. @param {any} node */
function addText(node) {
  const place = element('pre', {
    class: 'motion-adapters-said',
    tabindex: '0',
    role: 'status',
    hidden: true
  })
  const height = () => saidHeight(place.textContent, node.size[0])
  const widget = node.addDOMWidget('said', 'motion-said', place, {
    serialize: false,
    hideInPanel: true, // see extension.js
    hideOnZoom: false,
    getMinHeight: height,
    getMaxHeight: height
  })
  widget.serialize = false
  places.set(node, place)
}
