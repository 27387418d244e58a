package scrub

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// said writes a direction of HTTP/2.
type said struct {
	bytes.Buffer
	*http2.Framer
	encoded bytes.Buffer
	*hpack.Encoder
}

func newSaid(client bool) *said {
	x := &said{}
	if client {
		x.WriteString(preface)
	}
	x.Framer, x.Encoder = http2.NewFramer(&x.Buffer, nil), hpack.NewEncoder(&x.encoded)
	x.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 14})
	return x
}

// fields writes a header block, in frames of so many bytes.
func (x *said) fields(stream uint32, p http2.HeadersFrameParam, most int, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		x.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1], Sensitive: strings.HasPrefix(pairs[i], "auth")})
	}
	block := bytes.Clone(x.encoded.Bytes())
	x.encoded.Reset()
	n := min(most, len(block))
	p.StreamID, p.BlockFragment, p.EndHeaders = stream, block[:n], n == len(block)
	x.WriteHeaders(p)
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(most, len(block))
		x.WriteContinuation(stream, n == len(block), block[:n])
	}
}

// heard reads a direction of HTTP/2 as text.
func heard(t *testing.T, b []byte) string {
	t.Helper()
	var out strings.Builder
	f := http2.NewFramer(nil, bytes.NewReader(bytes.TrimPrefix(b, []byte(preface))))
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := f.ReadFrame()
		if err == io.EOF {
			return out.String()
		}
		if err != nil {
			t.Fatalf("%v after\n%s", err, out.String())
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, field := range frame.Fields {
				fmt.Fprintf(&out, "%d %s: %s\n", frame.StreamID, field.Name, field.Value)
			}
		case *http2.DataFrame:
			fmt.Fprintf(&out, "%d %s\n", frame.StreamID, frame.Data())
		}
	}
}

const planted2 = "Pl4ntedInHTTP2"

// conversation is a request and an answer with planted secrets, all of which come twice.
func conversation() (client, server *said) {
	client, server = newSaid(true), newSaid(false)
	basic := base64.StdEncoding.EncodeToString([]byte("me:" + planted2))
	for n := range uint32(2) {
		stream := 2*n + 1
		client.fields(stream, http2.HeadersFrameParam{PadLength: 7, Priority: http2.PriorityParam{Weight: 3}}, 20+90*int(n),
			":method", "POST", ":path", "/x?token="+planted2+"&n=1", "authorization", "Bearer "+planted2, "cookie",
			"sid="+planted2, "x-api-key", "§ not of Huffman's kind "+planted2, "x-number", "7", "authorization", "Basic "+basic,
			"x-plain", "stays "+planted2)
		client.WriteData(stream, false, []byte(`{"password": "`+planted2[:5]))
		client.WriteData(stream+100, false, []byte("in between"))
		client.WriteDataPadded(stream, true, []byte(planted2[5:]+`", "n": 1}`), make([]byte, 9))
		server.fields(stream, http2.HeadersFrameParam{}, 1000, ":status", "200", "set-cookie", "id="+planted2+"; Path=/",
			"date", "Mon")
		server.WriteData(stream, false, []byte("hello"))
		server.fields(stream, http2.HeadersFrameParam{EndStream: true}, 1000, "grpc-status", "0", "x-token", planted2)
	}
	return client, server
}

// written gives a conversation to two streams in pieces, the server's settings before all else, and what is left of it.
func written(s *Scrubber, client, server []byte, cut func() int, between func(a, b *Stream)) (string, string) {
	a, b := s.Stream(true), s.Stream(false)
	Pair(a, b)
	var kept [2][][]byte
	rest := [2][]byte{bytes.Clone(server), bytes.Clone(client)}
	for turn := 0; len(rest[0])+len(rest[1]) > 0; turn = 1 - turn {
		if n := min(cut(), len(rest[turn])); n > 0 {
			piece := rest[turn][:n:n]
			rest[turn], kept[turn] = rest[turn][n:], append(kept[turn], piece)
			[2]*Stream{b, a}[turn].Write(piece)
		}
		if between != nil {
			between(a, b)
		}
	}
	a.End()
	b.End()
	return string(slices.Concat(kept[1]...)), string(slices.Concat(kept[0]...))
}

// TestHTTP2: secrets in header fields and in data are replaced, though the server speaks first and wherever it is cut,
// by the same tokens as elsewhere; all else can be read as it was.
func TestHTTP2(t *testing.T) {
	client, server := conversation()
	was := [2]string{heard(t, client.Bytes()), heard(t, server.Bytes())}
	for n := 1; n < 400; n = n*5/4 + 1 {
		s := New([32]byte{byte(n)})
		token := string(s.Token("", []byte(planted2)))
		a, b := written(s, client.Bytes(), server.Bytes(), func() int { return n }, nil)
		if len(a) != client.Len() || len(b) != server.Len() {
			t.Fatalf("%d and %d bytes", len(a), len(b))
		}
		for i, got := range []string{heard(t, []byte(a)), heard(t, []byte(b))} {
			basic := regexpBasic.FindString(got)
			want := regexpBasic.ReplaceAllLiteralString(strings.ReplaceAll(was[i], planted2, token), basic)
			want = strings.ReplaceAll(strings.ReplaceAll(want, "\n1 "+planted2[5:], "\n1 "+token[5:]), "\n3 "+planted2[5:],
				"\n3 "+token[5:])
			want = strings.ReplaceAll(want, `"password": "`+planted2[:5], `"password": "`+token[:5])
			// What isn't plain is replaced as one.
			got, want = regexpKey.ReplaceAllString(got, ""), regexpKey.ReplaceAllString(want, "")
			if got != want || strings.Contains(got, "Pl4nt") || strings.Contains(basic, "UGw0") {
				t.Fatalf("in pieces of %d:\n%s\nwant\n%s", n, got, want)
			}
		}
		if s.Blanked() > 0 {
			t.Errorf("%d were blanked", s.Blanked())
		}
	}
}

var regexpBasic, regexpKey = regexp.MustCompile(`Basic \S+`), regexp.MustCompile(`x-api-key: .*`)

// TestHTTP2Upgraded: HTTP/2 may begin behind an upgrade of HTTP/1.1, or behind what a proxy says.
func TestHTTP2Upgraded(t *testing.T) {
	client, server := conversation()
	for n := 1; n < 200; n = n*4/3 + 1 {
		a, b := written(New([32]byte{1}), slices.Concat([]byte("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"), client.Bytes()),
			slices.Concat([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"), server.Bytes()),
			func() int { return n }, nil)
		_, a, _ = strings.Cut(a, "\r\n\r\n")
		_, b, _ = strings.Cut(b, "\r\n\r\n")
		if got := heard(t, []byte(a)) + "\n" + heard(t, []byte(b)); strings.Contains(got, "Pl4nt") ||
			!strings.Contains(got, "x-number: 7") || !strings.Contains(got, "grpc-status: 0") {
			t.Fatalf("in pieces of %d:\n%s", n, got)
		}
	}
}

// TestHTTP2Blanked: what can't be read, or can't wait, isn't kept.
func TestHTTP2Blanked(t *testing.T) {
	client, server := conversation()
	forms := [][]byte{[]byte(planted2), []byte(planted2[:5]), []byte(planted2[5:])}
	// As far as Huffman's code goes: whole bytes that nothing else has.
	for _, text := range []string{planted2, "Bearer " + planted2, "sid=" + planted2, "id=" + planted2} {
		code := hpack.AppendHuffmanString(nil, text)
		forms = append(forms, code[len(code)-7:len(code)-1])
	}
	for name, between := range map[string]func(a, b *Stream){
		"forced": func(a, b *Stream) {
			if rand.IntN(3) == 0 {
				a.Force()
				b.Force()
			}
		},
		"gaps": func(a, b *Stream) {
			if rand.IntN(20) == 0 {
				a.Gap()
				b.Gap()
			}
		}} {
		for range 100 {
			s := New([32]byte{1})
			s.Token("", []byte(planted2))
			for _, part := range forms[1:3] {
				s.Token("", part) // what is forced may be cut, as of any protocol
			}
			a, b := written(s, client.Bytes(), server.Bytes(), func() int { return 9 + rand.IntN(60) }, between)
			for _, form := range forms {
				if len(form) >= 6 && strings.Contains(a+b, string(form)) {
					t.Fatalf("%s: %q is in %q\n%q", name, form, a, b)
				}
			}
		}
	}
}

// FuzzHTTP2: nothing panics, all is decided at the end, and the length stays.
func FuzzHTTP2(f *testing.F) {
	client, server := conversation()
	f.Add(client.Bytes(), server.Bytes(), uint8(9))
	f.Fuzz(func(t *testing.T, client, server []byte, n uint8) {
		client = append([]byte(preface), client...)
		a, b := written(New([32]byte{1}), client, server, func() int { return int(n) + 1 }, nil)
		if len(a) != len(client) || len(b) != len(server) {
			t.Errorf("%d of %d, %d of %d bytes", len(a), len(client), len(b), len(server))
		}
	})
}

// TestCode: a token's Huffman code isn't longer than its secret's, of whatever characters that is.
func TestCode(t *testing.T) {
	for i := range 20_000 {
		secret := make([]byte, 1+rand.IntN(40))
		for n := range secret {
			secret[n] = byte(rand.IntN(256))
			if i%2 == 0 {
				secret[n] = "abcdefghijzZAXBCD0123456789@!-_ "[rand.IntN(32)]
			}
		}
		token := New([32]byte{byte(i)}).make(secret)
		if len(token) != len(secret) || hpack.HuffmanEncodeLength(string(token)) > hpack.HuffmanEncodeLength(string(secret)) {
			t.Fatalf("%q for %q", token, secret)
		}
	}
}

// TestHTTP2Many: of very many streams that don't end, secrets in the newest are found across frames.
func TestHTTP2Many(t *testing.T) {
	client := newSaid(true)
	for n := range uint32(3 * mostBodies) {
		client.WriteData(2*n+1, false, []byte(`{"password": "`+planted2[:5]))
		client.WriteData(0x10001, false, []byte("in between"))
		client.WriteData(2*n+1, false, []byte(planted2[5:]+`"}`))
	}
	s := New([32]byte{1})
	a, _ := written(s, client.Bytes(), nil, func() int { return 5000 }, nil)
	if s.Blanked() > 0 || strings.Contains(a, planted2[:5]) || strings.Contains(a, planted2[5:]) {
		t.Errorf("%d blanked, and %d", s.Blanked(), strings.Count(a, planted2[5:]))
	}
}

// TestHTTP2Binary: secrets in bytes of gRPC's metadata, which are in base64, are found.
func TestHTTP2Binary(t *testing.T) {
	for n := range byte(20) {
		client := newSaid(true)
		text := "\x00\x01" + strings.Repeat("x", int(n)) + `{"password": "` + planted2 + `"}`
		client.fields(1, http2.HeadersFrameParam{}, 1000, ":method", "POST", "x-details-bin",
			base64.RawStdEncoding.EncodeToString([]byte(text)), "x-plain-bin", "AAEC")
		a, _ := written(New([32]byte{n}), client.Bytes(), nil, func() int { return 50 }, nil)
		got := heard(t, []byte(a))
		_, value, _ := strings.Cut(got, "x-details-bin: ")
		value, _, _ = strings.Cut(value, "\n")
		inside, _ := base64.RawStdEncoding.DecodeString(value)
		if strings.Contains(string(inside), planted2[:5]) || !strings.Contains(got, "x-plain-bin: AAEC\n") {
			t.Errorf("%q, %q", got, inside)
		}
	}
}
