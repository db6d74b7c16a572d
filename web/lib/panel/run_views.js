/**
 * The panels of the training nodes and the Runs tab: made, drawn and taken away as the graph, the
 * runs and the sidebar are.
 *
 * Panels follow the graph that is there when they are drawn, not the page's calls for nodes that
 * come and go: those are not made for every node that goes (one in a subgraph of a graph that is
 * left), and some nodes never come (one that is copied).
 *
 * @typedef {import('../runs/run_state.js').Run} Run
 * @typedef {import('../runs/run_state.js').Summary} Summary
 * @typedef {{panel: TrainingPanel, other: string}} NodeView other: the run that is laid over
 * @typedef {{tab: RunsTab, chosen: string, other: string}} Sidebar
 */
import { placedNodes, runOfNode } from '../graph/node_ids.js'
import { runNames } from '../runs/run_list.js'
import { isActive } from '../runs/run_state.js'
import { moment } from '../text/format.js'
import { TrainingPanel } from './panel.js'
import { RunsTab } from './runs_tab.js'

const TICK_MS = 1000

export class RunViews {
  /**
   * @param {import('../runs/store.js').RunStore} store
   * @param {import('../runs/waiting.js').WaitingPrompts} waiting
   * @param {import('./run_actions.js').RunActions} actions
   * @param {import('./run_actions.js').Page} page
   * @param {import('../text/texts.js').Translate} translate
   * @param {string} locale
   */
  constructor(store, waiting, actions, page, translate, locale) {
    this.store = store
    this.waiting = waiting
    this.actions = actions
    this.page = page
    this.translate = translate
    this.locale = locale
    /** @type {Map<any, NodeView>} */
    this.panels = new Map()
    /** @type {Sidebar | null} */
    this.sidebar = null
    /** What was open in the sidebar when it was closed. */
    this.remembered = { chosen: '', other: '' }
    /** Adapters that are known, null before the first list of runs. @type {Set<string> | null} */
    this.adapters = null
    /** The names of the runs, and what they are of. */
    this.named = { key: '', names: /** @type {Map<string, string>} */ (new Map()) }
    this.drawing = false
    this.ticking = false
    store.subscribe(() => this.changed())
    waiting.subscribe(() => this.redraw())
  }

  changed() {
    this.noticeAdapters()
    this.redraw()
  }

  /** A new adapter is offered at once in the loaders' lists, however the page heard of it. */
  noticeAdapters() {
    if (!this.store.loaded) return
    const names = [...this.store.summaries.values()].flatMap((run) => run.saved_as ?? [])
    const known = this.adapters
    this.adapters = new Set(names)
    if (known && names.some((name) => !known.has(name))) this.actions.refreshLists()
  }

  /** Draws once a frame, however much has changed. */
  redraw() {
    if (this.drawing) return
    this.drawing = true
    requestAnimationFrame(() => {
      this.drawing = false
      this.draw()
    })
  }

  draw() {
    const runs = this.store.list()
    const names = this.namesOf(runs)
    const root = this.page.graph()
    const placed = placedNodes(root)
    this.dropGone(placed)
    for (const [node, ids] of placed) {
      const place = this.page.placeOf(node)
      if (!place) continue
      const { panel, other } = this.panels.get(node) ?? this.added(node, place)
      const workflow = String(root?.id ?? '')
      const own = runOfNode(runs, ids, workflow)
      const shown = this.shownRun(own?.id ?? '', other, runs, names)
      const others = runs.filter((run) => run !== own)
      panel.update({ ...shown, waiting: this.waiting.ofNode(ids, workflow, shown.run, others) })
    }
    if (this.sidebar) {
      const { tab, chosen, other } = this.sidebar
      const shown = this.shownRun(chosen, other, runs, names)
      const others = runs.filter((run) => run.id !== chosen)
      const waiting = shown.run && this.waiting.ofRun(shown.run, others)
      tab.update(runs, names, { ...shown, waiting }, chosen)
    }
    this.afterDrawing()
  }

  /** They rarely change, and a list has hundreds. @param {Summary[]} runs */
  namesOf(runs) {
    const key = runs.map((run) => `${run.id} ${run.title}`).join('\n')
    if (key !== this.named.key) {
      this.named = { key, names: runNames(runs, (seconds) => moment(seconds, this.locale)) }
    }
    return this.named.names
  }

  /** @param {Map<any, string[]>} placed */
  dropGone(placed) {
    for (const [node, { panel }] of this.panels) {
      if (placed.has(node)) continue
      panel.destroy()
      this.panels.delete(node)
    }
  }

  /**
   * @param {any} node
   * @param {HTMLElement} place
   */
  added(node, place) {
    const view = { panel: this.newPanel((id) => this.overlaid(view, id), () => node), other: '' }
    place.replaceChildren(view.panel.element)
    this.panels.set(node, view)
    return view
  }

  /** Lets go of histories that nobody sees, and lets the times go on while a run does. */
  afterDrawing() {
    const views = [...this.panels.values(), this.sidebar?.tab].filter(Boolean)
    const shown = views.flatMap(({ panel }) => [panel.shown.run, panel.shown.other])
    this.store.keep(new Set(shown.filter(Boolean).map((run) => run.id)))
    if (this.ticking || !shown.some((run) => run && isActive(run)) || this.store.error) return
    this.ticking = true
    setTimeout(() => {
      this.ticking = false
      this.redraw()
    }, TICK_MS)
  }

  /**
   * What a panel shows of a run; a history that the page lacks is asked for, and drawn when it
   * comes.
   *
   * @param {string} id
   * @param {string} other
   * @param {Summary[]} runs
   * @param {Map<string, string>} names
   * @returns {import('./panel.js').Shown}
   */
  shownRun(id, other, runs, names) {
    const { store } = this
    const run = id ? store.history(id) : null
    if (id && !run && store.summaries.has(id)) store.open(id)
    const others = runs.filter((entry) => entry.id !== id && entry.step > 0)
    const loaded = store.loaded && (run !== null || !store.summaries.has(id))
    const shown = { run, others, other: other ? store.history(other) : null, loaded }
    const isCancelling = this.waiting.isCancelling(run)
    const isAway = store.error !== null
    return { ...shown, names, isCancelling, isAway, now: store.clock(), error: this.errorText(id) }
  }

  /** @param {string} id */
  errorText(id) {
    if (this.store.error) return this.translate('panel.error', { reason: this.store.error })
    const reason = this.store.errorOf(id)
    return reason && this.translate('panel.runError', { reason })
  }

  /**
   * @param {(id: string) => void} overlay
   * @param {(run: Run) => any} nodeOf the node that Add apply workflow starts from
   */
  newPanel(overlay, nodeOf) {
    const actions = this.panelActions(overlay, nodeOf)
    return new TrainingPanel(this.translate, this.locale, actions, this.url)
  }

  /** @param {Run} run @param {string} file */
  url = (run, file) => this.actions.client.sampleUrl(run, file)

  /**
   * @param {(id: string) => void} overlay
   * @param {(run: Run) => any} nodeOf
   * @returns {import('./panel.js').Actions}
   */
  panelActions(overlay, nodeOf) {
    return {
      ask: (run, command) => this.actions.ask(run, command),
      cancel: (promptId) => this.actions.cancel(promptId),
      resume: (run) => this.actions.resume(run),
      apply: (run) => this.actions.apply(run, nodeOf(run)),
      overlay
    }
  }

  /**
   * @param {{other: string}} view
   * @param {string} id
   */
  async overlaid(view, id) {
    view.other = id
    if (id) await this.store.open(id)
    this.redraw()
  }

  /** @param {HTMLElement} place */
  openSidebar(place) {
    if (this.sidebar && place.contains(this.sidebar.tab.element)) return
    this.closeSidebar()
    const actions = [this.tabPanelActions(), this.tabActions()]
    const tab = new RunsTab(this.translate, this.locale, ...actions, this.url)
    this.sidebar = { tab, ...this.remembered }
    place.replaceChildren(tab.element)
    this.store.refresh()
  }

  /** A run of the tab is played beside a node that shows it. */
  tabPanelActions() {
    const shows = (/** @type {Run} */ run) =>
      [...this.panels].find(([, { panel }]) => panel.shown.run?.id === run.id)?.[0]
    return this.panelActions((id) => this.sidebar && this.overlaid(this.sidebar, id), shows)
  }

  /** @returns {import('./runs_tab.js').TabActions} */
  tabActions() {
    return {
      choose: (id) => {
        if (this.sidebar) this.sidebar.chosen = id
        if (id) this.store.update(id)
        this.redraw()
      },
      load: (run) => this.actions.load(run),
      delete: (runs, names) => this.actions.delete(runs, names),
      refresh: () => this.store.refresh()
    }
  }

  closeSidebar() {
    if (!this.sidebar) return
    const { tab, chosen, other } = this.sidebar
    this.remembered = { chosen, other }
    tab.destroy()
    this.sidebar = null
  }
}
