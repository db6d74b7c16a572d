/** Keeps the runs that the page knows up to date. */

const SECONDS = { active: 10, idle: 30 }
const LOADING_SECONDS = 2

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

/**
 * Asks again while something waits for the libraries, of which no message tells.
 *
 * @param {import('./waiting.js').WaitingPrompts} waiting
 * @param {number} [seconds]
 */
export function keepWaiting(waiting, seconds = LOADING_SECONDS) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let due
  waiting.subscribe(() => {
    clearTimeout(due)
    if (waiting.isLoading()) due = setTimeout(() => waiting.refresh(), 1000 * seconds)
  })
}
