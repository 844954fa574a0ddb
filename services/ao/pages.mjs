// A process has 105 MiB of memory, of which it uses two: only the pages that are not empty are kept. LMDB compresses them.
const SIZE = 65536
const EMPTY = Buffer.alloc(SIZE)

export function pack(memory) {
  const kept = []
  for (let at = 0; at < memory.length; at += SIZE) {
    const page = Buffer.from(memory.buffer, memory.byteOffset + at, Math.min(SIZE, memory.length - at))
    if (page.length === SIZE && page.equals(EMPTY)) continue
    const head = Buffer.alloc(8)
    head.writeUInt32LE(at / SIZE, 0)
    head.writeUInt32LE(page.length, 4)
    kept.push(head, page)
  }
  return Buffer.concat(kept)
}

export function unpack(kept, size) {
  const memory = new Uint8Array(size)
  for (let at = 0; at < kept.length; ) {
    const [number, length] = [kept.readUInt32LE(at), kept.readUInt32LE(at + 4)]
    memory.set(kept.subarray(at + 8, at + 8 + length), number * SIZE)
    at += 8 + length
  }
  return memory
}
