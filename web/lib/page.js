/**
 * What the panels need of the page around them, and what keeps them up to date there.
 *
 * @typedef {{
 *   graph: () => (import('./node_ids.js').Graph & {id?: string}) | null | undefined,
 *   placeOf: (node: any) => HTMLElement | undefined,
 *   queue: (prompt: import('./prompts.js').Prompt) => Promise<void>,
 *   load: (prompt: import('./prompts.js').Prompt, name: string) => Promise<void>,
 *   createNode: import('./apply_graph.js').CreateNode,
 *   nodesChanged: () => void,
 *   refreshLists: () => Promise<void>,
 *   confirm: (title: string, message: string) => Promise<boolean>,
 *   say: (severity: 'info' | 'error', summary: string, detail: string) => void
 * }} Page graph: the outermost. placeOf: where a training node's panel goes; undefined for others.
 *   queue: at the back. refreshLists: what nodes offer to choose from.
 */

const SECONDS = { active: 10, idle: 30 }

/**
 * Asks now and then, as messages can get lost with a socket, and when a hidden page is shown again.
 *
 * @param {import('./store.js').RunStore} store
 * @param {{active: number, idle: number}} [seconds]
 */
export function keepUpToDate(store, seconds = SECONDS) {
  document.addEventListener('visibilitychange', () => document.hidden || store.refresh())
  const poll = async () => {
    if (!document.hidden) await store.refresh()
    setTimeout(poll, 1000 * (store.active() ? seconds.active : seconds.idle))
  }
  poll()
}
