/** Keeps the runs that the page knows up to date. */

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
