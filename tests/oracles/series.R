# Oracles for test_control.py, test_changepoint.py, test_impact.py, test_forecast.py, by base R alone. Run here: Rscript series.R
# Reads series_sicily.csv (Lopez Bernal, Cummins and Gasparrini 2017, IJE 46:348-355, their published data).
# Writes series_laney.csv (limits of Laney's p' chart), series_nile.csv (the break of datasets::Nile),
# series_its.csv (rate ratios of the smoking ban), series_prediction.csv, series_control.csv,
# series_stl.csv (season and trend of datasets::co2).
options(digits = 15)

# ---- Laney's p' chart: z-scores about the pooled share, their standard deviation, three sigma ------------------------
n <- c(1200, 1350, 1100, 1480, 1600, 1250, 1900, 2100, 1750, 1500, 1650, 1800)
d <- c(31, 52, 18, 55, 25, 46, 34, 80, 33, 52, 25, 66)
p <- sum(d) / sum(n)
z <- (d / n - p) / sqrt(p * (1 - p) / n)
sigma <- sd(z)
half <- 3 * sqrt(p * (1 - p) / n) * sigma
write.csv(data.frame(n, d, centre = p, sigma, lower = pmax(0, p - half), upper = p + half), "series_laney.csv",
  row.names = FALSE)

# ---- a baseline of one size, and a further period: t prediction limits -----------------------------------------------
m <- c(182, 171, 195, 160, 177, 188, 169, 201)
rate <- m / 10000
s <- sd(rate)
k <- qt(1 - 0.00135, length(m) - 1) * sqrt(1 + 1 / length(m))
write.csv(data.frame(d = m, n = 10000, centre = mean(rate), lower = mean(rate) - k * s, upper = mean(rate) + k * s),
  "series_prediction.csv", row.names = FALSE)

# ---- one break in the mean of the Nile: least squares ----------------------------------------------------------------
y <- as.numeric(Nile)
rss <- sapply(2:98, function(b) sum((y[1:b] - mean(y[1:b]))^2) + sum((y[-(1:b)] - mean(y[-(1:b)]))^2))
b <- (2:98)[which.min(rss)]
write.csv(data.frame(year = 1871:1970, flow = y, last_before = 1870 + b, mean_before = mean(y[1:b]),
  mean_after = mean(y[-(1:b)])), "series_nile.csv", row.names = FALSE)

# ---- the Sicilian smoking ban: quasi-Poisson -------------------------------------------------------------------------
sicily <- read.csv("series_sicily.csv")
wave <- function(x, k) cbind(sin(2 * pi * k * x / 12), cos(2 * pi * k * x / 12))
sicily$season <- cbind(wave(sicily$month, 1), wave(sicily$month, 2))
ratio <- function(model, case) {
  s <- summary(model)$coefficients["smokban", 1:2]
  data.frame(case, ratio = exp(s[1]), lower = exp(s[1] - qnorm(.975) * s[2]), upper = exp(s[1] + qnorm(.975) * s[2]),
    dispersion = summary(model)$dispersion)
}
plain <- glm(aces ~ offset(log(stdpop)) + smokban + time, quasipoisson, sicily)
seasonal <- glm(aces ~ offset(log(stdpop)) + smokban + season + time, quasipoisson, sicily)
# touched among all: a binomial of the same form, against a made-up comparison series of half the losses
control <- round(sicily$aces / 2 + 90 * sin(sicily$time))
sicily$control <- control
compared <- glm(cbind(aces, control) ~ smokban + time, quasibinomial, sicily)
write.csv(rbind(ratio(plain, "plain"), ratio(seasonal, "seasonal"), ratio(compared, "compared")), "series_its.csv",
  row.names = FALSE)
write.csv(data.frame(control), "series_control.csv", row.names = FALSE)

# ---- season and trend of co2: STL, robust, a season that is the same every year --------------------------------------
# every point smoothed, none interpolated (jump 1); "periodic" in R averages the same smooth over the years afterwards
n <- length(co2)
s <- stl(co2, s.window = 10 * n + 1, s.degree = 0, robust = TRUE, s.jump = 1, t.jump = 1, l.jump = 1)
write.csv(data.frame(co2 = as.numeric(co2), seasonal = as.numeric(s$time.series[, "seasonal"]),
  trend = as.numeric(s$time.series[, "trend"])), "series_stl.csv", row.names = FALSE)
