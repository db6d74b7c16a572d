/**
 * The server's routes for runs. `fetchApi` is ComfyUI's, which knows where the server is.
 *
 * @typedef {(route: string, options?: RequestInit) => Promise<Response>} FetchApi
 */

const RUNS = '/motion_adapters/runs'

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
   * The answer, or an Error with the server's reason.
   *
   * @param {string} route
   * @param {RequestInit} [options]
   * @returns {Promise<any>}
   */
  async json(route, options) {
    const response = await this.fetchApi(route, options)
    const body = await response.json().catch(() => null)
    if (!response.ok || body === null) {
      throw new Error(body?.error ?? `${route}: ${response.status} ${response.statusText}`)
    }
    return body
  }
}
