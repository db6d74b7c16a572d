/**
 * What is queued to resume a run.
 *
 * @typedef {{output: Record<string, {class_type: string, inputs: Record<string, any>}>,
 *   workflow: any}} Prompt
 */

/**
 * The prompt that made the run, with its node set to continue just this run: with "new" it would
 * begin again, with "reuse" be content with what is there, and other runs may have the same
 * settings.
 *
 * @param {Prompt} prompt
 * @param {string} nodeId
 * @param {string} runId
 * @returns {Prompt}
 */
export function promptToResume(prompt, nodeId, runId) {
  const node = prompt.output[nodeId]
  if (!node) throw new Error(`The saved workflow of run ${runId} has no node ${nodeId}.`)
  const inputs = { ...node.inputs, resume: 'continue', resume_run: runId }
  return { ...prompt, output: { ...prompt.output, [nodeId]: { ...node, inputs } } }
}

/**
 * Whether a kept workflow can be loaded as a graph; prompts from scripts have none.
 *
 * @param {Prompt} prompt
 */
export const hasGraph = (prompt) => Array.isArray(prompt.workflow?.nodes)

/**
 * The prompt that the run's samples show, the first of several: the node's own, else that of the
 * first clip; "" where a node makes it that a prompt does not tell.
 *
 * @param {Prompt} prompt
 * @param {string} nodeId of the training node
 * @returns {string}
 */
export function shownPrompt({ output }, nodeId) {
  const inputs = output[nodeId]?.inputs ?? {}
  if (Array.isArray(inputs.sample_prompt)) return ''
  const lines = String(inputs.sample_prompt ?? '').split('\n').map((line) => line.trim())
  return lines.find(Boolean) ?? clipPrompt(output, inputs.clips)
}

/**
 * @param {Prompt['output']} output
 * @param {any} link to the node that gives the clips, or one of them
 * @returns {string}
 */
function clipPrompt(output, link) {
  if (!Array.isArray(link)) return ''
  const inputs = output[link[0]]?.inputs ?? {}
  if (typeof inputs.prompt === 'string') return inputs.prompt.trim()
  if ('prompt' in inputs) return ''
  return clipPrompt(output, Object.values(inputs).find(Array.isArray))
}
