/**
 * Colours of the pack's sockets and their links. Each type has one, in both kinds of nodes:
 * socket_colours.css for Vue nodes, and the tables of the canvas for all others.
 */
import { app } from '../../scripts/app.js'

import { keepColours } from './lib/graph/socket_colours.js'
import { addStyles } from './lib/page/elements.js'

app.registerExtension({
  name: 'MotionAdapters.SocketColours',

  setup() {
    addStyles(new URL('./socket_colours.css', import.meta.url).href)
    const canvas = app.canvas
    keepColours(canvas?.default_connection_color_byType)
    keepColours(canvas?.constructor?.link_type_colors)
  }
})
