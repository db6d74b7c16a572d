/** Why something did not work, as text. */

/**
 * The reason of an error. ComfyUI's error of a refused prompt has its reasons in the server's
 * answer: one for the prompt, and some for each node.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function reasonOf(error) {
  if (!(error instanceof Error)) return String(error)
  const response = /** @type {any} */ (error).response
  if (!response?.error) return error.message
  if (typeof response.error === 'string') return response.error
  const nodes = Object.values(response.node_errors ?? {})
  return [told(response.error), ...nodes.flatMap(ofNode)].join('\n')
}

/** @param {{class_type: string, errors: any[]}} node */
const ofNode = ({ class_type: name, errors }) => errors.map((each) => `${name}: ${told(each)}`)

/** @param {{message: string, details?: string}} error */
const told = ({ message, details }) => [message, details].filter(Boolean).join(': ')
