/**
 * The server's routes for runs. `fetchApi` is ComfyUI's, which knows where the server is.
 *
 * @typedef {(route: string, options?: RequestInit) => Promise<Response>} FetchApi
 */

const RUNS = '/motion_adapters/runs'
const WAITING = '/motion_adapters/waiting'
/** A server that takes longer does not answer. */
const LONGEST_MS = 30_000

export class RunClient {
  /**
   * @param {FetchApi} fetchApi
   * @param {(route: string) => string} apiUrl
   */
  constructor(fetchApi, apiUrl) {
    this.fetchApi = fetchApi
    this.apiUrl = apiUrl
  }

  runs() {
    return this.json(RUNS)
  }

  /** Prompts in the queue that are to train something. */
  waiting() {
    return this.json(WAITING)
  }

  /**
   * Takes a prompt out of the queue, or interrupts it if it runs; both are ComfyUI's routes, which
   * do nothing to any other prompt.
   *
   * @param {string} promptId
   */
  async cancel(promptId) {
    await this.post('/queue', { delete: [promptId] })
    await this.post('/interrupt', { prompt_id: promptId })
  }

  /**
   * @param {string} id
   * @param {number} since
   */
  run(id, since) {
    return this.json(`${RUNS}/${encodeURIComponent(id)}?since=${since}`)
  }

  /** @param {string} id */
  prompt(id) {
    return this.json(`${RUNS}/${encodeURIComponent(id)}/prompt`)
  }

  /**
   * @param {string} id
   * @param {'stop' | 'save' | 'sample' | 'pause'} command
   */
  ask(id, command) {
    return this.json(`${RUNS}/${encodeURIComponent(id)}/${command}`, { method: 'POST' })
  }

  /** @param {string} id */
  delete(id) {
    return this.json(`${RUNS}/${encodeURIComponent(id)}`, { method: 'DELETE' })
  }

  /**
   * Where a sample lies. A resumed run may make a step's sample again: `part` keeps the two apart.
   *
   * @param {{id: string, part: number}} run
   * @param {string} file
   */
  sampleUrl(run, file) {
    const name = encodeURIComponent(file)
    return this.apiUrl(`${RUNS}/${encodeURIComponent(run.id)}/samples/${name}?part=${run.part}`)
  }

  /**
   * @param {string} route that answers nothing
   * @param {object} body
   */
  async post(route, body) {
    const headers = { 'Content-Type': 'application/json' }
    const options = { method: 'POST', headers, body: JSON.stringify(body) }
    const response = await this.fetchApi(route, options)
    if (!response.ok) throw new Error(`${route}: ${response.status} ${response.statusText}`)
  }

  /**
   * The answer, or an Error with the server's reason.
   *
   * @param {string} route
   * @param {RequestInit} [options]
   * @returns {Promise<any>}
   */
  async json(route, options) {
    const signal = AbortSignal.timeout(LONGEST_MS)
    const response = await this.fetchApi(route, { signal, ...options })
    const body = await response.json().catch(() => null)
    if (!response.ok || body === null) {
      throw new Error(body?.error ?? `${route}: ${response.status} ${response.statusText}`)
    }
    return body
  }
}
