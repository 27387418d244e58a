# An independent reader, written from docs/recording.md: what is kept of a type's fields.
import sys, struct, json, subprocess, re
d = open(sys.argv[1], 'rb').read()
m = re.match(rb'\{"format": "ri recording", "version": (\d+), "size": (\d+)', d)
size = int(m.group(2)); header = json.loads(d[:size])
C = None
def crc32c(b):
    global C
    if C is None:
        C = []
        for i in range(256):
            c = i
            for _ in range(8): c = (c >> 1) ^ (0x82F63B78 if c & 1 else 0)
            C.append(c)
    c = 0xffffffff
    for x in b: c = C[(c ^ x) & 255] ^ (c >> 8)
    return c ^ 0xffffffff
end = d[-32:]
assert end[:8] == b'riEND1\r\n' and crc32c(end[:24]) == struct.unpack('<I', end[24:28])[0]
ioff, count = struct.unpack('<QQ', end[8:24])
def block(at):
    assert d[at:at+4] == b'riB1'
    nl, enc, st, sz, c1, c2 = struct.unpack('<HHQQII', d[at+4:at+32])
    name = d[at+32:at+32+nl]; body = d[at+32+nl:at+32+nl+st]
    assert crc32c(d[at:at+28] + name) == c2 and crc32c(body) == c1
    if enc == 1: body = subprocess.run(['zstd', '-dc'], input=body, capture_output=True, check=True).stdout
    assert len(body) == sz
    return name.decode(), body
index = json.loads(block(ioff)[1]); assert len(index) == count
mem = {}
def runs(b):
    n = struct.unpack('<I', b[:4])[0]; at = 4 + 16*n
    for i in range(n):
        a, s, k = struct.unpack('<QII', b[4+16*i:20+16*i])
        if k != 2: yield a, k, b[at:at+s]; at += s
look, tokens, typed, kept = [], [], [], []
for x in index:
    n, b = block(x['offset']); assert n == x['name']
    if n == 'memory/1': look += runs(b)
    if n == 'tokens': tokens += runs(b)
    if n == 'typed': typed += json.loads(b)
    if n == 'kept': kept += json.loads(b)
def read(a, n):
    for s, k, b in tokens + look:
        if s <= a and a + n <= s + len(b): return k, b[a-s:a-s+n]
for t in typed:
    if t['look'] != 1 or not re.search(sys.argv[2], t['type']): continue
    at = 0
    for delta in t['at']:
        at += delta
        for f in t['fields']:
            if f['kind'] == 'string':
                r = read(at + f['offset'], 16)
                if r:
                    p, n = struct.unpack('<QQ', r[1]); s = read(p, n)
                    print(hex(at), t['type'], f.get('name'), ['kept', 'token'][s[0]] if s else 'not there', s and s[1])
            elif f['kind'] in ('int', 'int64', 'pointer', 'ptr'):
                r = read(at + f['offset'], f['size'])
                if r: print(hex(at), t['type'], f.get('name'), int.from_bytes(r[1], 'little', signed=True))
