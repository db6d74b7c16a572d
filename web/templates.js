/**
 * Tells ComfyUI's template browser what the pack's workflows are called, in which order they are to
 * be read and what they do. ComfyUI reads such an index of its own templates only, and lists a
 * pack's by the names of their files; the index is in ComfyUI's own form, so it joins what that has.
 * Imports from ComfyUI, as extension.js does.
 */
import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'

import { firstView, takeMark } from './lib/graph/first_view.js'
import { withIndex, withoutPack } from './lib/graph/template_index.js'

/** The pack's folder among the custom nodes, by which its templates are asked for. */
const PACK = decodeURIComponent(new URL('.', import.meta.url).pathname.split('/').at(-2) ?? '')

app.registerExtension({
  name: 'MotionAdapters.Templates',

  setup() {
    const { getWorkflowTemplates, getCoreWorkflowTemplates } = api
    if (!getWorkflowTemplates || !getCoreWorkflowTemplates) return
    let isIndexed = false
    api.getWorkflowTemplates = async function (...rest) {
      const listed = await getWorkflowTemplates.apply(this, rest)
      isIndexed = PACK in listed && (await indexIn('en')) !== null
      return isIndexed ? withoutPack(listed, PACK) : listed
    }
    api.getCoreWorkflowTemplates = async function (/** @type {string} */ locale, ...rest) {
      const core = await getCoreWorkflowTemplates.call(this, locale, ...rest)
      const own = isIndexed ? await indexIn(locale) : null
      return own ? withIndex(core, own, PACK) : core
    }
  },

  /** A workflow of the pack, opened for the first time, is shown where its text can be read. */
  afterConfigureGraph() {
    const { canvas, rootGraph, graph } = app
    const root = rootGraph ?? graph
    if (!canvas || !takeMark(root)) return
    requestAnimationFrame(() => {
      const { width, height } = canvas.canvas.getBoundingClientRect()
      const view = firstView(root.nodes, { width, height })
      canvas.ds.scale = view.scale
      canvas.ds.offset = view.offset
      canvas.setDirty(true, true)
    })
  }
})

/**
 * @param {string} locale
 * @returns {Promise<any[] | null>} null if there is none
 */
async function indexIn(locale) {
  for (const file of [`index.${locale.split('-')[0]}.json`, 'index.json']) {
    const response = await fetch(new URL(`./templates/${file}`, import.meta.url)).catch(() => null)
    if (response?.ok) return response.json()
  }
  return null
}
