package main

import "strings"

type title string

var (
	emptyText   string
	plainText   = "plain"
	brokenText  = "a\x00b\xff\xfec\xc3"
	unicodeText = "grüße, 世界"
	quotedText  = "a \"quoted\"\n\tline\\"
	longText    = strings.Repeat("0123456789abcdef", 65536)
	namedText   = title("a title")
	someTexts   = []string{"", "x", brokenText}
	bytesOfText = []byte(brokenText)
	byteArray   = [5]byte{0, 1, 2, 254, 255}
	runes       = []rune(unicodeText)
	textInText  = plainText[2:4]
)

func texts() {
	say("main.emptyText", &emptyText)
	say("main.plainText", &plainText)
	say("main.brokenText", &brokenText)
	say("main.unicodeText", &unicodeText)
	say("main.quotedText", &quotedText)
	say("main.longText", &longText)
	say("main.namedText", &namedText)
	say("main.someTexts", &someTexts)
	say("main.someTexts[2]", &someTexts[2])
	say("main.bytesOfText", &bytesOfText)
	say("main.bytesOfText[3]", &bytesOfText[3])
	say("main.byteArray", &byteArray)
	say("main.runes", &runes)
	say("main.textInText", &textInText)
}
