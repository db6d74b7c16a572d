/**
 * The runs that the page knows, kept up to date: the list, and the histories that someone looks at.
 *
 * It gets the server through `client` and the time through the caller, so that it runs without
 * either.
 *
 * @typedef {import('./run_state.js').Run} Run
 * @typedef {import('./run_state.js').Summary} Summary
 * @typedef {import('./run_state.js').Message} Message
 * @typedef {{
 *   runs: () => Promise<{runs: Summary[]}>,
 *   run: (id: string, since: number) => Promise<Run>
 * }} Client
 */
import { reasonOf } from './error_text.js'
import { newestStep } from './points.js'
import { isActive, withAnswer, withMessage } from './run_state.js'
import { timed } from './run_times.js'

/** What a summary leaves out. */
const HISTORY = new Set(
  'curves points since counts samples checkpoints resumes settings told start last'.split(' ')
)
/** Histories that are kept beside those that are shown. */
const SPARE = 4

export class RunStore {
  /**
   * @param {Client} client
   * @param {() => number} [now] the page's clock, in seconds
   */
  constructor(client, now = pageSeconds) {
    this.client = client
    this.now = now
    /** @type {Map<string, Summary>} */
    this.summaries = new Map()
    /** By when they were shown last, the latest at the end. @type {Map<string, Run>} */
    this.histories = new Map()
    /** Whether the list has been read; before that no run means nothing. */
    this.loaded = false
    /** Why the list cannot be read. @type {string | null} */
    this.error = null
    /** When it could not be read any more, on the page's clock. @type {number | null} */
    this.brokeAt = null
    /** @type {Set<() => void>} */
    this.listeners = new Set()
    /** @type {Map<string, Promise<void>>} */
    this.asking = new Map()
    /** @type {Set<string>} */
    this.askAgain = new Set()
    /** Why histories could not be had; not asked for again before the list is there again.
     * @type {Map<string, string>} */
    this.lacking = new Map()
    /** @type {Promise<void> | null} */
    this.refreshing = null
    /** Whether what the server is being asked may be answered with what is no longer so. */
    this.outdated = false
  }

  /**
   * @param {() => void} listener called after every change
   * @returns {() => void} ends it
   */
  subscribe(listener) {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Every run's summary, the latest first. */
  list() {
    return [...this.summaries.values()].sort((a, b) => b.latest - a.latest)
  }

  /** @param {string} id */
  history(id) {
    return this.histories.get(id) ?? null
  }

  /**
   * Why a run's history could not be had, null if it was.
   *
   * @param {string} id
   */
  errorOf(id) {
    return this.lacking.get(id) ?? null
  }

  /** Reads the list again, and what is new of the histories that are open. */
  refresh() {
    this.outdated = true
    this.refreshing ??= this.readLists().finally(() => (this.refreshing = null))
    return this.refreshing
  }

  async readLists() {
    do {
      this.outdated = false
      await this.readList()
    } while (this.outdated && this.error === null)
  }

  async readList() {
    try {
      const { runs } = await this.client.runs()
      this.takeList(new Map(runs.map((run) => [run.id, run])))
      this.lacking.clear()
      this.loaded = true
      this.error = this.brokeAt = null
    } catch (error) {
      this.error = reasonOf(error)
      this.brokeAt ??= this.now()
    }
    this.tell()
    if (this.error !== null) return
    const stale = [...this.histories.keys()].filter((id) => this.isStale(id))
    await Promise.all(stale.map((id) => this.update(id)))
  }

  /**
   * What the list lacks and the page still has was deleted by hand: nobody told of it. Its history
   * stays for as long as the page does.
   *
   * @param {Map<string, Summary>} summaries
   */
  takeList(summaries) {
    const before = this.summaries
    this.summaries = summaries
    for (const [id, run] of this.histories) {
      if (summaries.has(id)) continue
      const state = isActive(run) ? 'interrupted' : run.state
      const gone = { state, isGone: true, can_resume: false }
      this.histories.set(id, { ...run, ...gone })
      summaries.set(id, { ...before.get(id), ...figuresOf(run), ...gone })
    }
  }

  /** The time for what counts on: it stands still while the server cannot be reached. */
  clock() {
    return this.brokeAt ?? this.now()
  }

  /**
   * Forgets a run that is no longer on the disk.
   *
   * @param {string} id
   */
  forget(id) {
    this.summaries.delete(id)
    this.histories.delete(id)
    this.tell()
  }

  /**
   * Whether the list tells of something that an open history lacks.
   *
   * @param {string} id
   */
  isStale(id) {
    const [known, told] = [this.histories.get(id), this.summaries.get(id)]
    if (!known || !told || told.isGone) return false
    if (known.isGone || isActive(told) || known.saved_as.length !== told.saved_as.length) return true
    return ['state', 'part', 'step', 'latest'].some((name) => known[name] !== told[name])
  }

  /** Whether there is something to poll for. */
  active() {
    return [...this.summaries.values()].some(isActive)
  }

  /**
   * Gets the history of a run if the page has none yet.
   *
   * @param {string} id
   */
  async open(id) {
    if (this.histories.has(id) || this.lacking.has(id)) return
    await (this.asking.get(id) ?? this.update(id))
  }

  /**
   * Asks for what came after the last step that is known; everything if `all`.
   *
   * @param {string} id
   * @param {boolean} [all]
   * @returns {Promise<void>}
   */
  update(id, all = false) {
    const asking = this.asking.get(id)
    if (asking) {
      this.askAgain.add(id)
      return asking
    }
    const asked = this.ask(id, all).finally(() => this.asking.delete(id))
    this.asking.set(id, asked)
    return asked
  }

  /**
   * @param {string} id
   * @param {boolean} all
   */
  async ask(id, all) {
    let whole = all
    do {
      this.askAgain.delete(id)
      const known = whole ? null : this.history(id)
      try {
        const answer = await this.client.run(id, known ? newestStep(known.curves) : 0)
        whole = known !== null && answer.part !== known.part
        if (whole) this.askAgain.add(id)
        else this.take(withAnswer(known, answer))
        this.lacking.delete(id)
      } catch (error) {
        this.lacking.set(id, reasonOf(error))
      }
    } while (this.askAgain.has(id) && !this.lacking.has(id))
    this.tell()
  }

  /**
   * What the server tells of itself.
   *
   * @param {Message} message
   */
  receive(message) {
    const { id } = message
    if (message.state === 'deleted') {
      this.outdated = true
      this.forget(id)
      return
    }
    const history = this.history(id)
    if (history === null) {
      const known = this.summaries.get(id)
      if (known) this.summaries.set(id, { ...known, ...figuresOf(message) })
      else if (!this.refreshing) this.refresh()
      this.tell()
      return
    }
    const { run, missing } = withMessage(history, message)
    this.take(run)
    this.tell()
    if (missing) this.update(id, missing === 'all')
  }

  /** @param {Run} run */
  take(run) {
    this.histories.set(run.id, timed(this.history(run.id), run, this.now()))
    const known = this.summaries.get(run.id)
    this.summaries.set(run.id, { ...known, ...figuresOf(run) })
  }

  /**
   * Marks what a person asks a run for, until the server tells of it.
   *
   * @param {string} id
   * @param {string} command
   */
  noteAsked(id, command) {
    const run = this.history(id)
    if (run) this.histories.set(id, { ...run, asked: [...run.asked, command] })
    this.tell()
  }

  /**
   * Lets go of histories other than those that are shown and the few that were shown last.
   *
   * @param {Set<string>} shown ids
   */
  keep(shown) {
    const kept = [...shown].filter((id) => this.histories.has(id))
    for (const id of kept) {
      const run = this.histories.get(id)
      this.histories.delete(id)
      this.histories.set(id, run)
    }
    const ids = [...this.histories.keys()]
    for (const id of ids.slice(0, Math.max(0, ids.length - kept.length - SPARE))) {
      this.histories.delete(id)
    }
  }

  tell() {
    for (const listener of this.listeners) listener()
  }
}

/**
 * A run without its history.
 *
 * @param {any} run
 * @returns {Summary}
 */
function figuresOf(run) {
  return Object.fromEntries(Object.entries(run).filter(([name]) => !HISTORY.has(name)))
}

const pageSeconds = () => performance.now() / 1000
