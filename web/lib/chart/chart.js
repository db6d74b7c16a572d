/**
 * The loss chart: raw values faint, their moving averages bold, one colour a term; marks of
 * checkpoints and resumptions; another run's averages dashed; values and marks under the pointer
 * or, with the arrow keys, under the cursor.
 *
 * @typedef {import('../runs/points.js').Point} Point
 * @typedef {import('../runs/run_state.js').Run} Run
 * @typedef {import('../text/texts.js').Translate} Translate
 * @typedef {{log: boolean, fixed: boolean, decay: number}} View
 */
import { element, setAttribute, svgElement } from '../page/elements.js'
import { movedIndex } from '../page/keyboard.js'
import { nearest, smoothed } from '../runs/points.js'
import { figure, whole } from '../text/format.js'
import { termName } from '../text/texts.js'
import { marksNear, readings, readingsText } from './chart_values.js'
import {
  linePath,
  lossDomain,
  marksPath,
  place,
  rawPath,
  stepDomain,
  stepTicks,
  ticks,
  valueAt
} from './scales.js'

const MARGIN = { left: 46, right: 10, top: 8, bottom: 18 }
const COLOURS = 6
/** How high a checkpoint's mark is, and how far from the cursor it is still named, in pixels. */
const MARK = { height: 8, reach: 4 }
/** @type {View} */
export const START_VIEW = Object.freeze({ log: false, fixed: false, decay: 0.95 })

export class LossChart {
  /**
   * @param {Translate} translate
   * @param {string} locale
   */
  constructor(translate, locale) {
    this.translate = translate
    this.locale = locale
    /** @type {Run | null} */
    this.run = null
    /** @type {Run | null} */
    this.other = null
    this.view = START_VIEW
    /** @type {number | null} */
    this.cursor = null
    this.size = { width: 400, height: 160 }
    this.drawn = false
    /** What the marks were drawn from. @type {unknown[] | null} */
    this.marked = null
    this.build()
  }

  build() {
    this.axes = svgElement('g', { class: 'axes' })
    this.marks = svgElement('g', { class: 'marks' })
    this.curves = svgElement('g', { class: 'curves' })
    this.pointer = svgElement('g', { class: 'pointer' })
    this.svg = svgElement('svg', { 'aria-hidden': 'true' }, [
      this.axes,
      this.marks,
      this.curves,
      this.pointer
    ])
    this.tip = element('div', { class: 'tip', hidden: true })
    this.element = element(
      'div',
      {
        class: 'chart',
        role: 'slider',
        tabindex: '0',
        'aria-label': this.translate('panel.chart'),
        onpointermove: (/** @type {PointerEvent} */ event) => this.pointed(event),
        onpointerleave: () => this.setCursor(null),
        onfocus: () => this.drawCursor(),
        onblur: () => this.setCursor(null),
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event)
      },
      [this.svg, this.tip]
    )
    this.legend = element('ul', { class: 'legend' })
    this.observer = new ResizeObserver(([entry]) => {
      const { width, height } = entry.contentRect
      if (!width || !height) return
      this.size = { width, height }
      this.draw()
    })
    this.observer.observe(this.element)
  }

  /**
   * @param {Run | null} run
   * @param {Run | null} other a run to lay over it
   * @param {View} view
   */
  update(run, other, view) {
    if (this.drawn && run === this.run && other === this.other && view === this.view) return
    this.run = run
    this.other = other
    this.view = view
    this.draw()
  }

  names() {
    return Object.keys(this.run?.curves ?? {})
  }

  draw() {
    const curves = Object.values(this.run?.curves ?? {})
    const others = Object.values(this.other?.curves ?? {})
    const { width, height } = this.size
    const { fixed, log } = this.view
    const all = [...curves, ...others]
    /** @type {import('./scales.js').Scale} */
    this.x = {
      domain: stepDomain(all, this.run?.total ?? 0, fixed),
      range: [MARGIN.left, width - MARGIN.right],
      log: false
    }
    /** @type {import('./scales.js').Scale} */
    this.y = {
      domain: lossDomain(all, fixed, log),
      range: [height - MARGIN.bottom, MARGIN.top],
      log
    }
    setAttribute(this.svg, 'viewBox', `0 0 ${width} ${height}`)
    this.drawAxes()
    this.drawMarks()
    this.drawCurves()
    this.drawLegend()
    this.drawCursor()
    this.drawn = true
  }

  drawAxes() {
    const { width, height } = this.size
    const parts = []
    for (const value of ticks(this.y, Math.max(2, height / 40))) {
      const y = place(this.y, value)
      parts.push(svgElement('line', { x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }))
      const at = { x: MARGIN.left - 5, y: y + 3, 'text-anchor': 'end' }
      parts.push(svgElement('text', { ...at, text: figure(value) }))
    }
    for (const value of stepTicks(this.x, Math.max(2, width / 90))) {
      const at = { x: place(this.x, value), y: height - 4, 'text-anchor': 'middle' }
      parts.push(svgElement('text', { ...at, text: whole(value, this.locale) }))
    }
    this.axes.replaceChildren(...parts)
  }

  /**
   * One path a kind, however many there are, as a long run has thousands of checkpoints; and only
   * where they or the axes have changed.
   */
  drawMarks() {
    const [bottom, top] = this.y.range
    const { checkpoints = [], resumes = [] } = this.run ?? {}
    const kinds = /** @type {const} */ ([
      ['checkpoint', checkpoints, bottom - MARK.height],
      ['resumed', resumes, top]
    ])
    const drawn = [checkpoints, resumes, ...this.x.domain, ...this.x.range, ...this.y.range]
    if (this.marked?.every((each, index) => each === drawn[index])) return
    this.marked = drawn
    const paths = kinds.filter(([, steps]) => steps.length).map(([kind, steps, end]) =>
      svgElement('path', { class: kind, d: marksPath(steps, this.x, bottom, end) })
    )
    this.marks.replaceChildren(...paths)
  }

  drawCurves() {
    const parts = []
    this.names().forEach((name, index) => {
      const points = this.run?.curves[name] ?? []
      const colour = `colour-${index % COLOURS}`
      parts.push(svgElement('path', { class: `raw ${colour}`, d: rawPath(points, this.x, this.y) }))
    })
    parts.push(...this.averages('other', this.other), ...this.averages('average', this.run))
    this.curves.replaceChildren(...parts)
  }

  /**
   * One line a term, in the colour that the shown run's term of the same name has.
   *
   * @param {string} kind
   * @param {Run | null} run
   */
  averages(kind, run) {
    return Object.entries(run?.curves ?? {}).map(([name, points], index) => {
      const own = this.names().indexOf(name)
      const colour = `colour-${(own < 0 ? index : own) % COLOURS}`
      const d = linePath(points, smoothed(points, this.view.decay), this.x, this.y)
      return svgElement('path', { class: `${kind} ${colour}`, d })
    })
  }

  drawLegend() {
    const wanted = [...this.names(), this.other?.id ?? ''].join('\n')
    if (this.legendShows === wanted) return
    this.legendShows = wanted
    const entry = (/** @type {string} */ look, /** @type {string} */ text) =>
      element('li', {}, [element('span', { class: `swatch ${look}` }), text])
    const entries = this.names().map((name, index) => 
      entry(`colour-${index % COLOURS}`, termName(this.translate, name))
    )
    if (this.other) {
      const run = this.other.title || this.other.id
      entries.push(entry('dashed', this.translate('panel.overlaid', { run })))
    }
    this.legend.replaceChildren(...entries)
  }

  /** @param {PointerEvent} event */
  pointed(event) {
    const box = this.svg.getBoundingClientRect()
    const pixel = ((event.clientX - box.left) / box.width) * this.size.width
    this.setCursor(valueAt(this.x, pixel))
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const points = this.longest()
    if (event.key === 'Escape') this.setCursor(null)
    const start = this.cursor === null ? points.length - 1 : nearest(points, this.cursor)
    const index = movedIndex(event.key, start, points.length)
    if (index === null) return
    event.preventDefault()
    this.setCursor(points[index][0])
  }

  /** The points of the curve that has most of them. */
  longest() {
    const curves = Object.values(this.run?.curves ?? {})
    return curves.reduce((a, b) => (b.length > a.length ? b : a), /** @type {Point[]} */ ([]))
  }

  /** @param {number | null} step */
  setCursor(step) {
    this.cursor = step
    this.drawCursor()
  }

  drawCursor() {
    const points = this.longest()
    const index = this.cursor === null ? -1 : nearest(points, this.cursor)
    this.describe(points[index < 0 ? points.length - 1 : index]?.[0] ?? 0)
    this.tip.hidden = index < 0
    if (index < 0) {
      this.pointer.replaceChildren()
      return
    }
    const step = points[index][0]
    const x = place(this.x, step)
    const [bottom, top] = this.y.range
    this.pointer.replaceChildren(svgElement('line', { x1: x, x2: x, y1: top, y2: bottom }))
    const [title, ...lines] = this.lines(step)
    this.tip.replaceChildren(
      element('strong', { text: title }),
      ...lines.map((text) => element('div', { text }))
    )
    this.tip.classList.toggle('left', x > this.size.width / 2)
    this.tip.style.setProperty('--x', `${(100 * x) / this.size.width}%`)
  }

  /**
   * The step, what is marked there, and the values of this run and of the other.
   *
   * @param {number} step
   */
  lines(step) {
    const t = this.translate
    const at = (/** @type {number} */ step) => ({ step: whole(step, this.locale) })
    const reach = Math.abs(valueAt(this.x, MARK.reach) - valueAt(this.x, 0))
    const own = readings(this.run, step, this.view.decay)
    const others = readings(this.other, step, this.view.decay)
    return [
      t('panel.step', at(step)),
      ...marksNear(this.run, step, reach).map(([kind, mark]) => t(`panel.${kind}`, at(mark))),
      ...own.map((reading) => readingsText(t, reading)),
      ...others.map((reading) => `≈ ${readingsText(t, reading)}`)
    ]
  }

  /**
   * What a screen reader says of the cursor.
   *
   * @param {number} step
   */
  describe(step) {
    setAttribute(this.element, 'aria-valuemin', 0)
    setAttribute(this.element, 'aria-valuemax', this.run?.total ?? 0)
    setAttribute(this.element, 'aria-valuenow', step)
    if (document.activeElement !== this.element) return
    setAttribute(this.element, 'aria-valuetext', this.lines(step).join('; '))
  }

  destroy() {
    this.observer.disconnect()
  }
}
