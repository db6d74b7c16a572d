/**
 * What a person can do with a run. What cannot be done is said, with its reason.
 *
 * @typedef {import('../runs/run_state.js').Run} Run
 * @typedef {import('../runs/run_state.js').Summary} Summary
 * @typedef {import('./panel.js').Command} Command
 * @typedef {{
 *   graph: () => (import('../graph/node_ids.js').Graph & {id?: string}) | null | undefined,
 *   placeOf: (node: any) => HTMLElement | undefined,
 *   queue: (prompt: import('../graph/prompts.js').Prompt) => Promise<void>,
 *   load: (prompt: import('../graph/prompts.js').Prompt, name: string) => Promise<void>,
 *   create: import('../graph/apply_graph.js').Create,
 *   nodesChanged: () => void,
 *   refreshLists: () => Promise<void>,
 *   confirm: (title: string, message: string) => Promise<boolean>,
 *   say: (severity: 'info' | 'error', summary: string, detail: string) => void
 * }} Page graph: the outermost. placeOf: where a training node's panel goes; undefined for others.
 *   queue: at the back. refreshLists: what nodes offer to choose from.
 */
import { addApplyNodes } from '../graph/apply_graph.js'
import { promptToResume, shownPrompt } from '../graph/prompts.js'
import { reasonOf } from '../runs/error_text.js'

export class RunActions {
  /**
   * @param {import('../runs/client.js').RunClient} client
   * @param {import('../runs/store.js').RunStore} store
   * @param {import('../runs/waiting.js').WaitingPrompts} waiting
   * @param {Page} page
   * @param {import('../text/texts.js').Translate} translate
   */
  constructor(client, store, waiting, page, translate) {
    this.client = client
    this.store = store
    this.waiting = waiting
    this.page = page
    this.translate = translate
  }

  /** @param {() => Promise<void>} act */
  async said(act) {
    try {
      await act()
    } catch (error) {
      this.page.say('error', this.translate('panel.failed'), reasonOf(error))
    }
  }

  /**
   * A second click comes before the server's answer to the first.
   *
   * @param {Run} run
   * @param {Command | 'resume'} command
   * @param {() => Promise<void>} act
   */
  once(run, command, act) {
    if (this.store.history(run.id)?.asked.includes(command)) return
    this.store.noteAsked(run.id, command)
    return this.said(act).finally(() => this.store.update(run.id))
  }

  /**
   * @param {Run} run
   * @param {Command} command
   */
  ask(run, command) {
    return this.once(run, command, async () => {
      await this.client.ask(run.id, command)
      if (command === 'pause') await this.goOn(run)
    })
  }

  /**
   * Cancels just this prompt, whoever queued it.
   *
   * @param {string} promptId
   */
  cancel(promptId) {
    this.waiting.cancel(promptId)
    return this.said(async () => {
      try {
        await this.client.cancel(promptId)
      } catch (error) {
        this.waiting.uncancel(promptId)
        throw error
      }
      await this.waiting.refresh()
    })
  }

  /** @param {Run} run */
  resume(run) {
    return this.once(run, 'resume', () => this.goOn(run))
  }

  /**
   * Queues the prompt of the run at the back; the node goes on from the last checkpoint.
   *
   * @param {Run} run
   */
  async goOn(run) {
    const prompt = promptToResume(await this.client.prompt(run.id), run.node_id, run.id)
    await this.page.queue(prompt)
    const detail = this.translate('panel.queued', { run: run.title || run.id })
    this.page.say('info', this.translate('panel.title'), detail)
  }

  /** @param {Run} run */
  load(run) {
    return this.said(async () => {
      await this.page.load(await this.client.prompt(run.id), run.title || run.id)
    })
  }

  /**
   * Asks once for all of them. One that is no longer on the disk is only forgotten.
   *
   * @param {Summary[]} runs
   * @param {string[]} names
   */
  delete(runs, names) {
    return this.said(async () => {
      if (!(await this.page.confirm(this.translate('tab.delete'), this.deleteAsked(names)))) return
      try {
        for (const run of runs) {
          if (!run.isGone) await this.client.delete(run.id)
          this.store.forget(run.id)
        }
      } finally {
        await this.store.refresh()
      }
    })
  }

  /** @param {string[]} names */
  deleteAsked(names) {
    if (names.length === 1) return this.translate('tab.deleteAsked', { run: names[0] })
    const values = { count: names.length, runs: names.join(', ') }
    return this.translate('tab.deleteMarkedAsked', values)
  }

  /**
   * @param {Run} run
   * @param {any} train the node that trained it, undefined if it is not in the graph
   */
  apply(run, train) {
    return this.said(async () => {
      if (!train?.graph) throw new Error(this.translate('panel.noNode'))
      await this.page.refreshLists()
      const adapter = run.saved_as[run.saved_as.length - 1]
      const prompt = run.has_prompt ? shownPrompt(await this.client.prompt(run.id), run.node_id) : ''
      const title = this.translate('panel.applyGroup', { name: adapter })
      const problem = addApplyNodes(train, { adapter, prompt, title }, this.page.create)
      if (problem) throw new Error(this.translate(...problem))
      this.page.nodesChanged()
    })
  }

  refreshLists() {
    return this.said(() => this.page.refreshLists())
  }
}
