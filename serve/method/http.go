package method

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"strings"
	"time"
)

// ServeHTTP answers requests over HTTP at methods that listen, until the context ends. up is told of each that listens,
// and of its address; say, of what goes wrong on connections.
func ServeHTTP(ctx context.Context, list []Method, config *tls.Config, h http.Handler, up func(Method, net.Addr),
	say func(string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog:    log.New(saying(say), "", 0),
		BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan struct{}, len(list))
	began := 0
	for _, m := range list {
		l, err := m.Listen()
		if err != nil {
			cancel(err)
			break
		}
		if m.TLS {
			l = tls.NewListener(l, config)
		}
		began++
		up(m, l.Addr())
		go func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				cancel(err)
			}
			ended <- struct{}{}
		}()
	}
	<-ctx.Done()
	_ = server.Close()
	for range began {
		<-ended
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// saying says what is written to it.
type saying func(string)

// Write implements io.Writer.
func (s saying) Write(p []byte) (int, error) {
	s(strings.TrimSpace(string(p)))
	return len(p), nil
}
