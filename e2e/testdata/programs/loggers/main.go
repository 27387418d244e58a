// Command loggers logs with every library that log-level knows, at debug and at error level: a round for each line on
// stdin, to stderr, and then "said" to stdout.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"

	"github.com/golang/glog"
	"github.com/rs/zerolog"
	zlog "github.com/rs/zerolog/log"
	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"k8s.io/klog/v2"
)

var level = new(slog.LevelVar)

type service struct {
	slog    *slog.Logger
	zap     *zap.SugaredLogger
	logrus  *logrus.Logger
	zerolog zerolog.Logger
}

func (s *service) say() {
	s.slog.Debug("slog debug")
	s.slog.Error("slog error")
	slog.Debug("slog's default debug")
	s.zap.Debug("zap debug")
	s.zap.Error("zap error")
	s.logrus.Debug("logrus debug")
	s.logrus.Error("logrus error")
	logrus.Debug("logrus' own debug")
	s.zerolog.Debug().Msg("zerolog debug")
	s.zerolog.Error().Msg("zerolog error")
	zlog.Debug().Msg("zerolog's own debug")
	klog.V(4).Info("klog debug")
	glog.V(4).Info("glog debug")
	klog.Flush()
	glog.Flush()
}

//go:noinline
func (s *service) serve(ask, said chan bool) {
	for range ask {
		s.say()
		said <- true
	}
}

func main() {
	flag.Set("logtostderr", "true")
	flag.CommandLine.Parse(nil)
	zerolog.SetGlobalLevel(zerolog.InfoLevel)
	config := zap.NewProductionConfig()
	config.DisableStacktrace = true
	z, err := config.Build()
	if err != nil {
		panic(err)
	}
	s := &service{slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})), z.Sugar(), logrus.New(),
		zerolog.New(os.Stderr).Level(zerolog.InfoLevel)}
	ask, said := make(chan bool), make(chan bool)
	go s.serve(ask, said)
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "gc" {
			runtime.GC()
		} else {
			ask <- true
			<-said
		}
		fmt.Println("said")
	}
}
