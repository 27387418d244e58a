package outside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Response is what a host answered.
type Response struct {
	Status int
	ETag   string
	Body   []byte
}

// check refuses what isn't at a host that is allowed.
func (a *Allowed) check(u *url.URL) error {
	port := u.Port()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%s: only http and https: %w", u.Redacted(), ErrNotAllowed)
	case port == "" && u.Scheme == "http":
		port = "80"
	case port == "":
		port = "443"
	}
	at := strings.ToLower(net.JoinHostPort(u.Hostname(), port))
	if a == nil || !slices.Contains(a.hosts, at) {
		return fmt.Errorf("%s is at none of the hosts that are allowed (--allow http=%s): %w", u.Redacted(), at,
			ErrNotAllowed)
	}
	return nil
}

const maxRedirects = 5

// do asks, and follows redirects as long as they stay at hosts that are allowed. No proxy comes between.
func (a *Allowed) do(ctx context.Context, method, at string, body []byte, header map[string]string) (*Response, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	if err := a.check(u); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	transport := &http.Transport{TLSHandshakeTimeout: patience, ResponseHeaderTimeout: patience,
		MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	client := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if method != http.MethodGet {
			return errors.New("a redirect, which isn't followed when something is changed")
		}
		if len(via) > maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		return a.check(r.URL)
	}}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, MaxBody+1))
	if err == nil && len(text) > MaxBody {
		err = fmt.Errorf("%s: the answer has more than %d MiB", u.Redacted(), MaxBody>>20)
	}
	if err != nil {
		return nil, err
	}
	return &Response{Status: answer.StatusCode, ETag: answer.Header.Get("ETag"), Body: text}, nil
}

// Get asks for a URL.
func (a *Allowed) Get(ctx context.Context, at string) (*Response, error) {
	return a.do(ctx, http.MethodGet, at, nil, nil)
}

// Put puts contents at a URL, if what is there is still what was got: by its ETag, which the host compares, and where
// it has none by its contents, which are got once more.
func (a *Allowed) Put(ctx context.Context, at string, was *Response, body []byte) error {
	if len(body) > MaxBody {
		return fmt.Errorf("%s would have more than %d MiB", at, MaxBody>>20)
	}
	now, err := a.Get(ctx, at)
	if err != nil {
		return err
	}
	if now.Status != was.Status || now.ETag != was.ETag || !bytes.Equal(now.Body, was.Body) {
		return fmt.Errorf("%s: %w", at, ErrChanged)
	}
	header := map[string]string{}
	switch {
	case now.Status == http.StatusNotFound:
		header["If-None-Match"] = "*"
	case now.ETag != "":
		header["If-Match"] = now.ETag
	}
	answer, err := a.do(ctx, http.MethodPut, at, body, header)
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrUnknown)
	}
	switch {
	case answer.Status == http.StatusPreconditionFailed:
		return fmt.Errorf("%s: %w", at, ErrChanged)
	case answer.Status < 200 || answer.Status > 299:
		return fmt.Errorf("%s answers a PUT with %d", at, answer.Status)
	}
	return nil
}
