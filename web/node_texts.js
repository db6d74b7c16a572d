/**
 * Shows on a node the text that it says: reports, warnings, where a file was saved. ComfyUI's own
 * page shows the texts of its own nodes only.
 */
import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'

import { element } from './lib/elements.js'
import { executionIds } from './lib/node_ids.js'
import { locatorId, saidIn, saidHeight } from './lib/node_texts.js'

const NODES = [
  'AnimateDiffBaseFromModel',
  'ConvertMotionAdapter',
  'EvaluateMotion',
  'InspectMotionAdapter',
  'RecaptionFrames',
  'SaveMotionAdapter'
]
const LEAST_WIDTH = 320

/** The nodes that have said something or may do so. @type {Set<any>} */
const speakers = new Set()

app.registerExtension({
  name: 'MotionAdapters.NodeTexts',

  setup() {
    api.addEventListener('executing', (/** @type {CustomEvent} */ { detail }) => {
      for (const node of known(String(detail ?? ''))) say(node, '')
    })
    api.addEventListener('executed', (/** @type {CustomEvent} */ { detail }) => {
      const id = String(detail.display_node ?? detail.node)
      for (const node of known(id)) say(node, saidIn(detail.output))
    })
  },

  /** @param {any} node */
  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass ?? node.constructor.comfyClass)) return
    speakers.add(node)
    const { onRemoved } = node
    node.onRemoved = function (...rest) {
      onRemoved?.apply(this, rest)
      speakers.delete(node)
    }
  },

  /**
   * Of a graph that was left and is shown again.
   *
   * @param {Record<string, any>} outputs
   */
  onNodeOutputsUpdated(outputs) {
    for (const node of speakers) {
      const output = node.graph && outputs[locatorId(rootGraph(), node.graph, node.id)]
      if (output) say(node, saidIn(output))
    }
  }
})

const rootGraph = () => app.rootGraph ?? app.graph

/** @param {string} id */
const known = (id) =>
  [...speakers].filter(
    (node) => node.graph && executionIds(rootGraph(), node.graph, node.id).includes(id)
  )

/**
 * @param {any} node
 * @param {string} text "" takes what was there away
 */
function say(node, text) {
  const widget = node.widgets?.find((/** @type {any} */ each) => each.name === 'said')
  if (!widget && !text) return
  const place = widget?.element ?? addText(node)
  if (place.textContent === text) return
  place.textContent = text
  place.hidden = text === ''
  node.setSize?.([Math.max(node.size[0], LEAST_WIDTH), node.computeSize()[1]])
  app.canvas?.setDirty(true, true)
}

/** @param {any} node */
function addText(node) {
  const place = element('pre', { class: 'motion-adapters-said', tabindex: '0', role: 'status' })
  const height = () => saidHeight(place.textContent, node.size[0])
  const widget = node.addDOMWidget('said', 'motion-said', place, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: height,
    getMaxHeight: height
  })
  widget.serialize = false
  return place
}
