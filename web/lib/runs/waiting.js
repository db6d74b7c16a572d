/**
 * Prompts that are queued or run and have no run to show yet, from the press of Run on.
 *
 * @typedef {{prompt_id: string, client_id: string, workflow_id: string, is_running: boolean,
 *   nodes: string[], runs: string[]}} Entry of the server's answer, the running ones first
 * @typedef {'queued' | 'libraries' | 'starting' | 'cancelling'} Phase
 * @typedef {{phase: Phase, promptId: string}} Waiting promptId: '' until the server has told it
 * @typedef {{prompt_id?: string, state: string}} Run
 */
import { isActive } from './run_state.js'

export class WaitingPrompts {
  /** @param {{waiting: () => Promise<{waiting: Entry[], libraries: boolean}>}} client */
  constructor(client) {
    this.client = client
    /** @type {Entry[]} */
    this.entries = []
    /** Whether the server has imported what takes long once. */
    this.libraries = true
    /** Whether Run was pressed, until the server tells of the queue. */
    this.isPressed = false
    /** Ids of prompts that a person has cancelled here. @type {Set<string>} */
    this.cancelled = new Set()
    /** Nodes that a prompt does not run, as their results are known. @type {Set<string>} */
    this.skipped = new Set()
    /** @type {Set<() => void>} */
    this.listeners = new Set()
    /** @type {Promise<void> | null} */
    this.asking = null
    this.askAgain = false
  }

  /** @param {() => void} listener called after every change */
  subscribe(listener) {
    this.listeners.add(listener)
  }

  /** Reads the queue again; who asks meanwhile gets a newer answer. */
  refresh() {
    this.askAgain = true
    this.asking ??= this.ask().finally(() => {
      this.asking = null
      if (this.askAgain) this.refresh()
    })
    return this.asking
  }

  async ask() {
    while (this.askAgain) {
      this.askAgain = false
      const answer = await this.client.waiting().catch(() => null)
      if (answer) this.take(answer)
    }
  }

  /** @param {{waiting: Entry[], libraries: boolean}} answer */
  take({ waiting, libraries }) {
    this.entries = waiting
    this.libraries = libraries
    if (!this.askAgain) this.isPressed = false
    this.tell()
  }

  /** Run was pressed, and the server has taken the prompt. */
  pressed() {
    this.isPressed = true
    this.tell()
    return this.refresh()
  }

  /**
   * @param {string} promptId
   * @param {string[]} nodes whose results are known
   */
  skip(promptId, nodes) {
    for (const node of nodes) this.skipped.add(`${promptId} ${node}`)
    this.tell()
  }

  /** @param {string | null | undefined} promptId by default, of what runs */
  cancel(promptId) {
    const running = this.entries.filter((entry) => entry.is_running).map((entry) => entry.prompt_id)
    for (const id of promptId ? [promptId] : running) this.cancelled.add(id)
    this.tell()
  }

  /** @param {string} promptId whose cancelling did not work */
  uncancel(promptId) {
    this.cancelled.delete(promptId)
    this.tell()
  }

  /** Whether something waits for the libraries, of which the server tells only when asked. */
  isLoading() {
    return !this.libraries && this.entries.some((entry) => entry.is_running)
  }

  /** Whether it is shown as about to end. @param {Run | null} run */
  isCancelling(run) {
    return run !== null && isActive(run) && this.cancelled.has(run.prompt_id ?? '')
  }

  /**
   * What waits for a node; null if nothing does, or what it waited for is the run that it shows.
   *
   * @param {string[]} ids of the node
   * @param {string} workflowId of its graph
   * @param {Run | null} run that it shows, with its history
   * @param {Run[]} others the runs of other nodes
   * @returns {Waiting | null}
   */
  ofNode(ids, workflowId, run, others) {
    const isFor = (/** @type {Entry} */ { prompt_id: prompt, workflow_id: workflow, nodes }) =>
      workflow !== '' &&
      workflow === workflowId &&
      nodes.some((node) => ids.includes(node) && !this.skipped.has(`${prompt} ${node}`))
    const entry = this.entries.find((each) => isFor(each) && each.prompt_id !== run?.prompt_id)
    if (entry) return this.told(entry, others)
    const isNew = this.isPressed && !(run && isActive(run))
    return isNew ? { phase: 'queued', promptId: '' } : null
  }

  /**
   * What waits to go on with a run.
   *
   * @param {Run & {id: string}} run
   * @param {Run[]} others all other runs
   */
  ofRun(run, others) {
    const isFor = (/** @type {Entry} */ each) =>
      each.runs.includes(run.id) && each.prompt_id !== run.prompt_id
    const entry = this.entries.find(isFor)
    return entry ? this.told(entry, others) : null
  }

  /**
   * A node whose prompt trains another one first still waits.
   *
   * @param {Entry} entry
   * @param {Run[]} others
   * @returns {Waiting}
   */
  told({ prompt_id: promptId, is_running: isRunning }, others) {
    const isBusy = others.some((run) => run.prompt_id === promptId && isActive(run))
    /** @type {Phase} */
    let phase = this.libraries ? 'starting' : 'libraries'
    if (!isRunning || isBusy) phase = 'queued'
    if (this.cancelled.has(promptId)) phase = 'cancelling'
    return { phase, promptId }
  }

  tell() {
    for (const listener of this.listeners) listener()
  }
}
