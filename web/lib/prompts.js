/**
 * What is queued to go on with a run.
 *
 * @typedef {{output: Record<string, {class_type: string, inputs: Record<string, any>}>,
 *   workflow: any}} Prompt
 */

/**
 * The prompt that made the run, with its node set to continue: with "new" it would begin again.
 *
 * @param {Prompt} prompt
 * @param {string} nodeId
 * @returns {Prompt}
 */
export function promptToGoOn(prompt, nodeId) {
  const node = prompt.output[nodeId]
  if (node?.inputs?.resume !== 'new') return prompt
  const inputs = { ...node.inputs, resume: 'continue' }
  return { ...prompt, output: { ...prompt.output, [nodeId]: { ...node, inputs } } }
}

/**
 * Whether a kept workflow can be loaded as a graph; prompts from scripts have none.
 *
 * @param {Prompt} prompt
 */
export const hasGraph = (prompt) => Array.isArray(prompt.workflow?.nodes)
