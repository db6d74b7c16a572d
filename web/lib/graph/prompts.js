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
