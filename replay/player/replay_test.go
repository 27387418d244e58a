//go:build linux && amd64

package player

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestHTTP: what a server answered to requests, it answers again, dates included, and ends as it did.
func TestHTTP(t *testing.T) {
	var tape tape
	address, stop := tape.start(t, build(t))
	client := &http.Client{Transport: &http.Transport{DialContext: tape.dial, MaxIdleConnsPerHost: 1}}
	const requests = 100
	for i := range requests {
		ask(t, client, fmt.Sprintf("http://%s/hello?name=%d", address, i), strings.Repeat("x", i*100))
	}
	ask(t, client, "http://"+address+"/second", "")
	client.CloseIdleConnections()
	stop()
	r := replay(t, tape.file(t), Options{})
	if !r.Same() || r.Equal < requests+1 || r.Short > 0 {
		t.Errorf("%+v", *r)
	}
}

// ask makes a request and gives the answer.
func ask(t *testing.T, client *http.Client, url, body string) string {
	t.Helper()
	answer, err := client.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
