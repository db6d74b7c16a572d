/**
 * What a person can do with a run. What cannot be done is said, with its reason.
 *
 * @typedef {import('../runs/run_state.js').Run} Run
 * @typedef {import('./panel.js').Command} Command
 * @typedef {{
 *   graph: () => (import('../graph/node_ids.js').Graph & {id?: string}) | null | undefined,
 *   placeOf: (node: any) => HTMLElement | undefined,
 *   queue: (prompt: import('../graph/prompts.js').Prompt) => Promise<void>,
 *   load: (prompt: import('../graph/prompts.js').Prompt, name: string) => Promise<void>,
 *   createNode: import('../graph/apply_graph.js').CreateNode,
 *   nodesChanged: () => void,
 *   refreshLists: () => Promise<void>,
 *   confirm: (title: string, message: string) => Promise<boolean>,
 *   say: (severity: 'info' | 'error', summary: string, detail: string) => void
 * }} Page graph: the outermost. placeOf: where a training node's panel goes; undefined for others.
 *   queue: at the back. refreshLists: what nodes offer to choose from.
 */
import { addApplyNodes } from '../graph/apply_graph.js'
import { promptToResume } from '../graph/prompts.js'
import { reasonOf } from '../runs/error_text.js'

export class RunActions {
  /**
   * @param {import('../runs/client.js').RunClient} client
   * @param {import('../runs/store.js').RunStore} store
   * @param {Page} page
   * @param {import('../text/texts.js').Translate} translate
   */
  constructor(client, store, page, translate) {
    this.client = client
    this.store = store
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

  /** @param {Run} run */
  delete(run) {
    return this.said(async () => {
      const asked = this.translate('tab.deleteAsked', { run: run.title || run.id })
      if (!(await this.page.confirm(this.translate('tab.delete'), asked))) return
      await this.client.delete(run.id)
      await this.store.refresh()
    })
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
      const problem = addApplyNodes(train, adapter, this.page.createNode)
      if (problem) throw new Error(this.translate(...problem))
      this.page.nodesChanged()
    })
  }

  refreshLists() {
    return this.said(() => this.page.refreshLists())
  }
}
