# Oracles for tests/test_decompose.py and tests/test_units.py: the change of a rate shared among three segments and the
# cells' own rates by brute force over all orders (Shapley), and a funnel with its beta-binomial shrinkage.
# Run here: Rscript decompose.R (base R alone). Nothing here follows the Python: orders instead of subsets, tables
# instead of group codes.
options(digits = 17)
set.seed(20251231)

cells <- expand.grid(region = c("east", "north", "south"), plan = c("a", "b"), tenure = c("0-6", "6-24", "24+"))
cells$n0 <- rpois(nrow(cells), 700); cells$n1 <- rpois(nrow(cells), 400 + 60 * seq_len(nrow(cells)))
cells$n0[5] <- 0; cells$n1[11] <- 0        # a combination that is new, and one that is gone
cells$d0 <- rbinom(nrow(cells), cells$n0, 0.02); cells$d1 <- rbinom(nrow(cells), cells$n1, 0.028)
write.csv(cells, "decompose_cells.csv", row.names = FALSE, quote = FALSE)

names <- c("region", "plan", "tenure")
key <- function(s) if (length(s)) do.call(paste, cells[s]) else rep("", nrow(cells))
# the joint distribution of the segments in s from `to`, the rest within them from `from`
moved <- function(s, to, from) {
  out <- numeric(nrow(cells))
  for (k in unique(key(s))) {
    i <- key(s) == k
    out[i] <- if (sum(from[i]) > 0) sum(to[i]) * from[i] / sum(from[i]) else to[i]
  }
  out
}
p0 <- cells$n0 / sum(cells$n0); p1 <- cells$n1 / sum(cells$n1)
state <- function(s) (moved(s, p1, p0) + moved(setdiff(names, s), p0, p1)) / 2
r0 <- ifelse(cells$n0 > 0, cells$d0 / cells$n0, cells$d1 / cells$n1)
r1 <- ifelse(cells$n1 > 0, cells$d1 / cells$n1, cells$d0 / cells$n0)
orders <- rbind(c(1, 2, 3), c(1, 3, 2), c(2, 1, 3), c(2, 3, 1), c(3, 1, 2), c(3, 2, 1))
mix <- setNames(numeric(3), names)
for (o in seq_len(6)) {
  done <- character(0)
  for (j in orders[o, ]) {
    after <- c(done, names[j])
    mix[j] <- mix[j] + sum((state(after) - state(done)) * (r0 + r1) / 2) / 6
    done <- after
  }
}
rate <- tapply((p0 + p1) / 2 * (r1 - r0), as.character(cells$region), sum)
total <- sum(cells$d1) / sum(cells$n1) - sum(cells$d0) / sum(cells$n0)
stopifnot(abs(sum(mix) + sum(rate) - total) < 1e-15)
answers <- data.frame(part = c(paste0("rate:", names(rate)), paste0("mix:", names), "total"), value = c(rate, mix, total))
write.csv(answers, "decompose_parts.csv", row.names = FALSE, quote = FALSE)

# 40 branches: usual differences beyond chance and two that stand out
n <- round(exp(runif(40, log(150), log(9000)))); p <- plogis(qlogis(0.02) + rnorm(40, 0, 0.15))
p[7] <- 0.06; p[31] <- 0.002
d <- rbinom(40, n, p)
y <- d / n; centre <- sum(d) / sum(n); s <- sqrt(centre * (1 - centre) / n); z <- (y - centre) / s
k <- floor(0.10 * 40); o <- sort(z); zw <- pmin(pmax(z, o[k + 1]), o[40 - k])
w <- 1 / s^2
tau <- sqrt(max(0, (sum(zw^2) - 39) / (sum(w) - sum(w^2) / sum(w))))
ll <- function(x) {   # log-likelihood of the beta-binomial, less what does not depend on the parameters
  m <- plogis(x[1]); size <- exp(x[2])
  -sum(lgamma(d + m * size) + lgamma(n - d + (1 - m) * size) - lgamma(n + size) -
       lgamma(m * size) - lgamma((1 - m) * size) + lgamma(size))
}
fit <- optim(c(qlogis(centre), log(200)), ll, control = list(reltol = 1e-14, maxit = 5000))
m <- plogis(fit$par[1]); size <- exp(fit$par[2])
write.csv(data.frame(n, d, score = (y - centre) / sqrt(s^2 + tau^2), tau, shrunk = (d + m * size) / (n + size)),
  "decompose_units.csv", row.names = FALSE, quote = FALSE)
